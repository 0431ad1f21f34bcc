#include "train/train_step.h"

#include <ATen/ATen.h>

#include "vim/core/random.h"
#include "vim/nn/model.h"

namespace vim::train {
namespace {

// Steps before the recorded one: what is made on first use, such as cuBLAS's workspace, is then
// there. With several processes, so are NCCL's connections and the reducer's final buckets, and its
// timing of the first ten steps is over.
constexpr int64_t kWarmupSteps = 2, kParallelWarmupSteps = 11;

}  // namespace

void seed_step(int64_t seed, int64_t step, int rank) {
  RandomStream random(static_cast<uint64_t>(seed), Purpose::kModel, static_cast<uint64_t>(step),
                      static_cast<uint64_t>(rank));
  at::manual_seed(random.bits());
}

TrainStep::TrainStep(const RunConfig& config, tasks::Objective& objective, AdamW& optimizer,
                     Ema* ema, dist::DataParallel* parallel)
    : config_(config),
      objective_(objective),
      optimizer_(optimizer),
      ema_(ema),
      parallel_(parallel),
      guard_(optimizer.parameters()),
      use_graph_(config.train.cuda_graph && optimizer.device().is_cuda() &&
                 nn::is_capturable(config.model) &&
                 (parallel == nullptr || parallel->is_capturable())),
      warmup_steps_(parallel == nullptr ? kWarmupSteps : kParallelWarmupSteps) {
  if (optimizer.device().is_cuda() && config.train.precision == Precision::kFp16) {
    loss_scale_.emplace(optimizer.device());
  }
}

at::Tensor TrainStep::loss_and_gradients(const tasks::Inputs& inputs, bool reduce,
                                         Observer* observer) {
  at::Tensor loss;
  {
    const AutocastScope autocast(config_.train.precision, optimizer_.device());
    const Observer::Scope observed(observer);
    if (observer != nullptr) observer->note_inputs(inputs);
    loss = objective_.loss(inputs) / config_.train.accumulation;
  }
  const at::Tensor spread = FiniteGuard::spread(loss);
  const at::Tensor root = loss_scale_ ? loss_scale_->scaled(spread) : spread;
  if (parallel_ != nullptr && reduce) {
    parallel_->backward(root);
  } else {
    root.backward();
  }
  return loss.detach();
}

at::Tensor TrainStep::backward(const std::vector<tasks::Inputs>& batches, Observer* observer) {
  at::Tensor loss = at::zeros({}, at::TensorOptions().device(optimizer_.device()));
  for (size_t i = 0; i < batches.size(); ++i) {
    loss += loss_and_gradients(batches[i], /*reduce=*/i + 1 == batches.size(), observer);
  }
  if (observer != nullptr) {
    observer->note_gradients(loss_scale_ ? loss_scale_->scale() : at::Tensor());
  }
  return loss;
}

at::Tensor TrainStep::compute(const std::vector<tasks::Inputs>& batches, Observer* observer) {
  const at::Tensor loss = backward(batches, observer);
  LossScale* const scale = loss_scale_ ? &*loss_scale_ : nullptr;
  const at::Tensor norm = optimizer_.gradient_norm(scale);
  scale == nullptr ? guard_.note(loss, norm)
                   : guard_.note(loss, norm, scale->scale(), scale->overflow());
  optimizer_.step(norm, ema_, scale, guard_.skip());
  if (scale != nullptr) scale->update();
  optimizer_.zero_gradients();
  return loss;
}

at::Tensor TrainStep::run(std::vector<tasks::Inputs> batches, double lr, Observer* observer) {
  optimizer_.set_lr(lr);
  if (!use_graph_) return compute(batches, observer);

  if (calls_ == 0) {
    graph_inputs_ = std::move(batches);
  } else {
    for (size_t b = 0; b < batches.size(); ++b) {
      for (size_t i = 0; i < batches[b].size(); ++i) graph_inputs_[b][i].copy_(batches[b][i]);
    }
  }
  if (calls_++ < warmup_steps_ || observer != nullptr) return compute(graph_inputs_, observer);
  if (!graph_.recorded()) graph_.record([this] { graph_loss_ = compute(graph_inputs_); });
  graph_.replay();
  return graph_loss_;
}

std::map<std::string, at::Tensor> TrainStep::state() const {
  return loss_scale_ ? loss_scale_->state() : std::map<std::string, at::Tensor>();
}

void TrainStep::load_state(const std::map<std::string, at::Tensor>& state) {
  for (const auto& [name, tensor] : this->state()) {
    if (const auto found = state.find(name); found != state.end()) tensor.copy_(found->second);
  }
}

}  // namespace vim::train
