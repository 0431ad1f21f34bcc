#include "tasks/classify.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "tasks/loss.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/data/normalize.h"

namespace vim::tasks {
namespace {

constexpr int64_t kTopK = 5;

// Puts a model into evaluation mode without gradients, and back at the end of the scope.
class EvaluationScope {
 public:
  explicit EvaluationScope(torch::nn::Module& model)
      : model_(model), was_training_(model.is_training()) {
    model_.eval();
  }
  ~EvaluationScope() { model_.train(was_training_); }
  EvaluationScope(const EvaluationScope&) = delete;
  EvaluationScope& operator=(const EvaluationScope&) = delete;

 private:
  torch::nn::Module& model_;
  bool was_training_;
  at::NoGradGuard no_grad_;
};

std::unique_ptr<data::Loader> open(const TaskContext& context, data::Split split) {
  return data::open_loader(
      context.data, split,
      {.input = {context.model.image_size.height, context.model.image_size.width},
       .seed = context.seed,
       .rank = context.group->rank(),
       .world = context.group->size(),
       .local_world = context.group->core_sharers(),
       .pin_memory = context.device.is_cuda()});
}

class Classification : public Objective {
 public:
  Classification(const TaskConfig& task, const nn::ModelConfig& model, at::Device device)
      : task_(task), model_(nn::make_classifier(model)) {
    model_->to(device);
  }
  torch::nn::Module& model() override { return *model_; }
  at::Tensor loss(const Inputs& inputs) override {
    return soft_target_loss(model_->forward(inputs[0]), inputs[1], task_);
  }

 private:
  TaskConfig task_;
  std::shared_ptr<nn::Classifier> model_;
};

}  // namespace

std::unique_ptr<Objective> make_objective(const TaskConfig& task, const nn::ModelConfig& model,
                                          at::Device device) {
  return std::make_unique<Classification>(task, model, device);
}

Classify::Classify(const TaskContext& context) : context_(context) {
  eval_loader_ = open(context, data::Split::kVal);
  classes_ = eval_loader_->dataset().classes();
  if (context.for_training) {
    train_loader_ = open(context, data::Split::kTrain);
    if (train_loader_->dataset().classes() != classes_) {
      throw Error(concat(
          context.data.root, ": training and evaluation images have different classes (",
          train_loader_->dataset().classes().size(), " and ", classes_.size(),
          "); give both the same class folders, or list the classes of shards in classes.txt"));
    }
  }
  if (static_cast<int64_t>(classes_.size()) != context.model.num_classes) {
    throw UsageError(concat("model.num_classes is ", context.model.num_classes, " and ",
                            context.data.root, " has ", classes_.size(),
                            " classes; set model.num_classes to ", classes_.size()));
  }
  augmenter_.emplace(context.data, context.model.num_classes, context.task.label_smoothing,
                     data::Augmenter::Place{context.seed, context.group->rank(),
                                            context.group->size(), context.device});
  model_ = nn::make_classifier(context.model);
  model_->to(context.device);
}

Inputs Classify::prepare(const data::Batch& batch) {
  const auto [images, targets] = (*augmenter_)(batch);
  return {images, targets};
}

at::Tensor Classify::loss(const Inputs& inputs) {
  return soft_target_loss(model_->forward(inputs[0]), inputs[1], context_.task);
}

// Counts are integers and stay on the device until the end; one sum over the ranks.
Metrics Classify::evaluate() {
  const EvaluationScope evaluation(*model_);
  const auto options = at::TensorOptions().device(context_.device);
  at::Tensor counts = at::zeros({3}, options.dtype(at::kLong));  // top-1, top-5, images
  at::Tensor loss = at::zeros({}, options.dtype(at::kDouble));
  const int64_t k = std::min(kTopK, context_.model.num_classes);

  eval_loader_->begin(0, 0);
  while (const auto batch = eval_loader_->next()) {
    const at::Tensor scores = model_->forward(
        data::normalize(batch->images, context_.data.mean, context_.data.std, context_.device));
    const at::Tensor target = batch->labels.to(context_.device, /*non_blocking=*/true);
    loss += at::cross_entropy_loss(scores, target, {}, at::Reduction::Sum);
    const at::Tensor hits = std::get<1>(scores.topk(k, 1)) == target.unsqueeze(1);
    counts += at::stack(
        {hits.select(1, 0).sum(), hits.sum(), at::full({}, target.size(0), counts.options())});
  }
  context_.group->all_reduce_sum(counts);
  context_.group->all_reduce_sum(loss);

  const at::Tensor host = counts.cpu();
  const auto count = [&](int i) { return static_cast<double>(host[i].item<int64_t>()); };
  Metrics metrics = {{"top1", 100 * count(0) / count(2)}};
  if (k < context_.model.num_classes) metrics.emplace_back("top5", 100 * count(1) / count(2));
  metrics.emplace_back("loss", loss.item<double>() / count(2));
  return metrics;
}

std::unique_ptr<Task> make_task(const TaskContext& context) {
  return std::make_unique<Classify>(context);
}

}  // namespace vim::tasks
