#include "vim/nn/weights.h"

#include <ATen/ATen.h>

#include <vector>

#include "nn/names.h"
#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::nn {

Weights weights_of(const torch::nn::Module& model) {
  Weights weights;
  for (const auto& entry : model.named_parameters()) weights.emplace(entry.key(), entry.value());
  for (const auto& entry : model.named_buffers()) weights.emplace(entry.key(), entry.value());
  return weights;
}

void load_weights(torch::nn::Module& model, const Weights& weights, const std::string& source) {
  std::vector<std::string> missing, misshapen, unexpected;
  Weights own = weights_of(model);
  for (const auto& [name, tensor] : own) {
    const auto found = weights.find(name);
    if (found == weights.end()) {
      missing.push_back(name);
    } else if (found->second.sizes() != tensor.sizes()) {
      misshapen.push_back(concat(name, " ", found->second.sizes(), " instead of ", tensor.sizes()));
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!own.contains(name)) unexpected.push_back(name);
  }
  std::vector<std::string> problems;
  if (!missing.empty()) problems.push_back("it lacks " + some_of(missing));
  if (!unexpected.empty()) problems.push_back("the model has no " + some_of(unexpected));
  if (!misshapen.empty()) problems.push_back("shapes differ: " + some_of(misshapen));
  if (!problems.empty()) {
    throw Error(concat(source, ": its weights do not fit this model (", join(problems, "; "),
                       "); use the model section that they were trained with"));
  }
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : own) tensor.copy_(weights.at(name));
}

}  // namespace vim::nn
