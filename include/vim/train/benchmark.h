// Speed and memory of models, side by side (vim-bench model).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vim/train/config.h"

namespace vim::train {

enum class BenchmarkMode {
  kTrain,      // a whole step: forward, backward, update, average
  kInference,  // forward alone
};

struct BenchmarkCommand {
  struct Model {
    std::string name;  // in the results
    RunConfig config;
  };
  std::vector<Model> models;
  std::vector<BenchmarkMode> modes;
  std::vector<int64_t> image_sizes;  // empty: those of the configurations
  std::vector<int64_t> batches;      // empty: those of the configurations
  double seconds = 1;                // of measuring, for each result
  std::optional<std::filesystem::path> json, svg;
};

struct BenchmarkResult {
  std::string model;
  std::string device;
  BenchmarkMode mode;
  Precision precision;
  int64_t image_size, tokens, batch;
  bool fits = true;  // else there was not enough memory, and the rest is zero
  double milliseconds = 0, images_per_second = 0;  // medians
  double memory = 0;                               // bytes at the peak, on a GPU
};

// Measures every model at every size, batch and mode with random images; prints a table and writes
// the files. Before it measures a model on a GPU, it compares the scores of an image with those
// that the CPU computes in fp32; throws Error where they differ.
void benchmark(const BenchmarkCommand& command);

}  // namespace vim::train
