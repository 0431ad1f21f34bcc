// The results of vim-bench as text, JSON and a picture.
#pragma once

#include <string>
#include <vector>

#include "vim/train/benchmark.h"

namespace vim::train {

const char* name_of(BenchmarkMode mode);

std::string table_header();
std::string table_row(const BenchmarkResult& result);

// {"version": ..., "results": [...]}
std::string as_json(const std::vector<BenchmarkResult>& results);

// Images a second and memory against the image size, a line for each model, mode and batch; a line
// ends where the memory does.
std::string as_svg(const std::vector<BenchmarkResult>& results);

}  // namespace vim::train
