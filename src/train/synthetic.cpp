#include "train/synthetic.h"

#include <ATen/ATen.h>

#include "train/stopwatch.h"

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

SyntheticTraining::SyntheticTraining(const RunConfig& config, int64_t batch, at::Device device,
                                     dist::ProcessGroup* group)
    : device_(device),
      task_(config.model, device),
      optimizer_(task_.model(), config.optim),
      inputs_(task_.batch(batch)) {
  task_.model().train();
  if (config.ema.enabled) ema_.emplace(task_.model(), config.ema.decay);
  if (group != nullptr) parallel_.emplace(task_.model(), *group, config.dist);
  step_.emplace(config, task_, optimizer_, ema_ ? &*ema_ : nullptr,
                parallel_ ? &*parallel_ : nullptr);
}

double SyntheticTraining::milliseconds(double seconds, dist::ProcessGroup* group) {
  return median_milliseconds([&] { step_->run({inputs_}, 1e-4); }, seconds, device_, group);
}

}  // namespace vim::train
