// Classification of random images, without data: for measuring and testing a training step.
#pragma once

#include <memory>
#include <optional>

#include "train/train_step.h"
#include "vim/nn/model.h"

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

// All that a step of its training needs. `group` is null for a process by itself.
class SyntheticTraining {
 public:
  SyntheticTraining(const RunConfig& config, int64_t batch, at::Device device,
                    dist::ProcessGroup* group);

  // Of a step, as median_milliseconds() measures it.
  double milliseconds(double seconds, dist::ProcessGroup* group);

  // What the gradients are averaged in over the group's processes.
  std::vector<at::Tensor> empty_buckets() const { return parallel_->empty_buckets(); }

 private:
  at::Device device_;
  Synthetic task_;
  AdamW optimizer_;
  tasks::Inputs inputs_;
  std::optional<Ema> ema_;
  std::optional<dist::DataParallel> parallel_;
  std::optional<TrainStep> step_;
};

}  // namespace vim::train
