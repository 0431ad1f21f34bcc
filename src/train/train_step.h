// One optimiser step on the device: forward, backward, clipping, update, average.
#pragma once

#include <optional>
#include <vector>

#include "train/device_graph.h"
#include "train/ema.h"
#include "train/finite_guard.h"
#include "train/observer.h"
#include "train/optimizer.h"
#include "train/precision.h"
#include "vim/dist/data_parallel.h"
#include "vim/tasks/task.h"
#include "vim/train/config.h"

namespace vim::train {

// Seeds torch's generators for step `step` (the steps before it), whose random numbers depend on
// nothing else.
void seed_step(int64_t seed, int64_t step, int rank);

class TrainStep {
 public:
  // `objective`, `optimizer`, `ema` and `parallel` (or null) outlive this.
  TrainStep(const RunConfig& config, tasks::Objective& objective, AdamW& optimizer, Ema* ema,
            dist::DataParallel* parallel = nullptr);

  // Trains on these batches, whose gradients are averaged. The mean loss, a scalar on the device
  // that holds until the next step. Nothing waits for the device. Where the step is recorded as a
  // graph, that happens after a few calls, and the inputs' shapes must be those of the first; a
  // step that is observed is not recorded. One whose loss or gradients are not finite changes no
  // weight and no moment, which guard() notes.
  at::Tensor run(std::vector<tasks::Inputs> batches, double lr, Observer* observer = nullptr);

  // The same as far as the gradients, which the parameters then hold, unscaled and unclipped.
  at::Tensor backward(const std::vector<tasks::Inputs>& batches, Observer* observer = nullptr);

  // One batch's share of the loss, forward and backward alone; the ranks' gradients are averaged
  // where `reduce` says so.
  at::Tensor loss_and_gradients(const tasks::Inputs& inputs, bool reduce = false,
                                Observer* observer = nullptr);

  // What became of the steps.
  FiniteGuard& guard() { return guard_; }

  // What a checkpoint must hold besides the model, the average and the optimiser. The tensors are
  // this object's own.
  std::map<std::string, at::Tensor> state() const;
  // Takes what is there; the rest stays as at the start of a run.
  void load_state(const std::map<std::string, at::Tensor>& state);

 private:
  at::Tensor compute(const std::vector<tasks::Inputs>& batches, Observer* observer = nullptr);

  const RunConfig& config_;
  tasks::Objective& objective_;
  AdamW& optimizer_;
  Ema* ema_;
  dist::DataParallel* parallel_;
  std::optional<LossScale> loss_scale_;  // fp16 only
  FiniteGuard guard_;
  bool use_graph_;
  int64_t warmup_steps_;
  int64_t calls_ = 0;
  DeviceGraph graph_;
  std::vector<tasks::Inputs> graph_inputs_;
  at::Tensor graph_loss_;
};

}  // namespace vim::train
