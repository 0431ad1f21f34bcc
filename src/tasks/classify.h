// Image classification: one label an image, softmax cross-entropy, top-1 and top-5 accuracy.
#pragma once

#include <memory>
#include <optional>

#include "vim/data/augmenter.h"
#include "vim/nn/model.h"
#include "vim/tasks/task.h"

namespace vim::tasks {

class Classify : public Task {
 public:
  explicit Classify(const TaskContext& context);

  torch::nn::Module& model() override { return *model_; }
  data::Loader& train_loader() override { return *train_loader_; }
  Inputs prepare(const data::Batch& batch) override;
  at::Tensor loss(const Inputs& inputs) override;
  Metrics evaluate() override;
  const std::vector<std::string>& classes() const override { return classes_; }
  double multiply_adds_per_image() const override {
    return nn::count_multiply_adds(context_.model);
  }

 private:
  TaskContext context_;
  std::shared_ptr<nn::Classifier> model_;
  std::vector<std::string> classes_;
  std::unique_ptr<data::Loader> train_loader_, eval_loader_;
  std::optional<data::Augmenter> augmenter_;  // of training batches
};

}  // namespace vim::tasks
