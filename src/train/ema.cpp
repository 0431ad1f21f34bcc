#include "train/ema.h"

#include <ATen/ATen.h>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::train {

Ema::Ema(const torch::nn::Module& model, double decay)
    : decay_(decay), live_(nn::weights_of(model)) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : live_) average_.emplace(name, tensor.detach().clone());
}

void Ema::swap() {
  const at::NoGradGuard no_grad;
  for (auto& [name, average] : average_) {
    const at::Tensor kept = average.clone();
    average.copy_(live_.at(name));
    live_.at(name).copy_(kept);
  }
}

void Ema::load(const nn::Weights& weights, const std::string& source) {
  const at::NoGradGuard no_grad;
  for (auto& [name, average] : average_) {
    const auto found = weights.find(name);
    if (found == weights.end() || found->second.sizes() != average.sizes()) {
      throw Error(concat(
          source, ": its averaged weights do not fit this model (", name,
          "); resume with the configuration that it was trained with, or with ema.enabled=false"));
    }
    average.copy_(found->second);
  }
}

}  // namespace vim::train
