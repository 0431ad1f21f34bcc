// The operators that vim-bench measures, as functions of lists of tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "vim/train/benchmark_ops.h"

namespace vim::train {

using Tensors = std::vector<at::Tensor>;

struct OpCase {
  std::string name;
  std::vector<std::string> arguments;  // their names
  // New random ones on a device: activations of `dtype`, parameters of float.
  std::function<Tensors(const OpShape&, int64_t state, const at::TensorOptions& dtype)> make;
  std::function<Tensors(const Tensors&)> call;
  // The same function on the CPU, by other means than `call` on a GPU.
  std::function<Tensors(const Tensors&)> reference;
};

std::vector<OpCase> op_cases();

}  // namespace vim::train
