#include "train/synthetic.h"

#include <ATen/ATen.h>

namespace vim::train {

Synthetic::Synthetic(const nn::ModelConfig& config, at::Device device)
    : config_(config), device_(device), model_(nn::make_classifier(config)) {
  model_->to(device);
}

tasks::Inputs Synthetic::batch(int64_t size) const {
  const at::Tensor images =
      at::randn({size, config_.in_channels, config_.image_size.height, config_.image_size.width});
  const at::Tensor labels = at::randint(config_.num_classes, {size}, at::kLong);
  return {images.to(device_), labels.to(device_)};
}

at::Tensor Synthetic::loss(const tasks::Inputs& inputs) {
  return at::cross_entropy_loss(model_->forward(inputs[0]), inputs[1]);
}

}  // namespace vim::train
