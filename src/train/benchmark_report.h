// The results of vim-bench as text, JSON and a picture.
#pragma once

#include <iomanip>
#include <sstream>
#include <string>
#include <vector>

#include "vim/train/benchmark.h"

namespace vim::train {

const char* name_of(BenchmarkMode mode);
std::string name_of(Precision precision);

// A line of a table: each cell as wide as its column, the first `left` of them with their
// beginnings below each other, the others with their ends.
template <int kColumns, class... Cells>
std::string line_of(const int (&widths)[kColumns], int left, const Cells&... cells) {
  static_assert(sizeof...(cells) == kColumns);
  std::ostringstream out;
  int column = 0;
  const auto cell = [&](const auto& value) {
    out << (column < left ? std::left : std::right) << std::setw(widths[column]) << value << " ";
    ++column;
  };
  (cell(cells), ...);
  return out.str() + "\n";
}

std::string table_header();
std::string table_row(const BenchmarkResult& result);

// {"version": ..., "results": [...]}
std::string as_json(const std::vector<BenchmarkResult>& results);

// Images a second and memory against the image size, a line for each model, mode and batch; a line
// ends where the memory does.
std::string as_svg(const std::vector<BenchmarkResult>& results);

}  // namespace vim::train
