// Speed of the operators, one by one (vim-bench ops).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vim/train/config.h"

namespace vim::train {

struct OpShape {
  int64_t batch, channels, length;  // channels: the mixer's inner_dim; its tokens have half of them
};

struct OpsBenchmarkCommand {
  std::vector<std::string> ops;  // of benchmark_op_names(); empty: all
  std::vector<OpShape> shapes;   // empty: those of Vim-Ti and Vim-S at 224, 512 and 1248 pixels
  std::vector<Precision> types;  // of the activations, not kTf32; empty: bf16, on the CPU fp32
  std::string device = "auto";
  int64_t state = 16;
  double seconds = 0.2;  // of measuring, for each time
  std::optional<std::filesystem::path> json;
};

std::vector<std::string> benchmark_op_names();

// Compares the results and gradients of each operator with those of the CPU in double, then
// measures it where they agree: forward, forward keeping what a backward pass needs, backward.
// Takes turns on so many sets of tensors that no cache holds them. Prints a table and writes the
// file; false where something was wrong.
bool benchmark_ops(const OpsBenchmarkCommand& command);

}  // namespace vim::train
