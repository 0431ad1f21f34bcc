// Classification of random images, without data: for measuring and testing a training step.
#pragma once

#include <memory>

#include "vim/nn/model.h"
#include "vim/tasks/task.h"

namespace vim::train {

class Synthetic : public tasks::Objective {
 public:
  Synthetic(const nn::ModelConfig& config, at::Device device);

  // Random images and labels on the device, drawn on the CPU: the same on each device.
  tasks::Inputs batch(int64_t size) const;

  nn::Classifier& model() override { return *model_; }
  at::Tensor loss(const tasks::Inputs& inputs) override;

 private:
  nn::ModelConfig config_;
  at::Device device_;
  std::shared_ptr<nn::Classifier> model_;
};

}  // namespace vim::train
