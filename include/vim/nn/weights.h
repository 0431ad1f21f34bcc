// Weights in and out of a model, by name.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <map>
#include <string>

namespace vim::nn {

using Weights = std::map<std::string, at::Tensor>;

// The model's parameters and buffers under their names; the tensors are the model's own, not
// copies.
Weights weights_of(const torch::nn::Module& model);

// Copies `weights` into the model. Every name must match and every shape agree; otherwise nothing
// is copied and an Error tells `source` and all that differs.
void load_weights(torch::nn::Module& model, const Weights& weights, const std::string& source);

}  // namespace vim::nn
