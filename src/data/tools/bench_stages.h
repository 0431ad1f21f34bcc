// What `bench` measures.
#pragma once

#include <filesystem>
#include <functional>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "vim/data/config.h"
#include "vim/data/sample.h"

namespace vim::data {

inline constexpr int64_t kBenchBatch = 32;
inline constexpr InputSize kBenchInput = {224, 224};

struct BenchFiles {
  std::vector<std::filesystem::path> paths;
  std::vector<std::string> bytes;
  std::vector<cv::Mat> decoded;  // the first ones
  std::vector<cv::Mat> crops;    // of these, as large as the input
  double megabytes = 0, pixels = 0;
};

// Of a list that starts anew at its end.
template <class T>
const T& nth(const std::vector<T>& list, int64_t i) {
  return list[static_cast<size_t>(i) % list.size()];
}

// Into memory, up to a limit. An empty root stands for the photographs of Debian's packages. Throws
// Error where there are none.
BenchFiles load_bench_files(const std::filesystem::path& root);

// As a data set gives it that leaves decoding to the transforms.
Sample encoded_sample(const std::string& bytes, int64_t id);

// The official recipe, or its crop and flip alone.
DataConfig bench_recipe(bool whole, Decoding decoding);

// Does image i. Each thread has its own.
using BenchWork = std::function<void(int64_t)>;

struct BenchStage {
  std::string name;
  std::function<BenchWork()> begin;
};

// They refer to the files.
std::vector<BenchStage> bench_stages(const BenchFiles& files);

}  // namespace vim::data
