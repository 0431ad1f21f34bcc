// Steps whose loss or gradients are not finite: noticed on the device, without the host waiting.
//
// Such a step changes no weight: AdamW::step takes skip(). The first one since the host last looked
// can be run again afterwards: its weights are copied beside the model's before later steps change
// those, on a GPU by a kernel that reads on the device whether it has anything to do. Its batch
// needs no copy, being a function of (seed, epoch, position).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "vim/nn/weights.h"

namespace vim::train {

class FiniteGuard {
 public:
  // `weights` are the trained ones, and stay where they are.
  explicit FiniteGuard(nn::Weights weights);

  // What a step's backward pass starts from: `loss`, whose gradients are not finite either where it
  // is not. So the ranks, which see the mean of all gradients, agree about every step.
  static at::Tensor spread(const at::Tensor& loss);

  // Between a step's backward pass and its update: `loss` of this rank, `norm` of all gradients;
  // with a loss scale, that one, and 1 where it made a gradient overflow. A scale of 1 or more that
  // does so is no fault, since it is about to fall, but the step is skipped all the same.
  void note(const at::Tensor& loss, const at::Tensor& norm, const at::Tensor& loss_scale = {},
            const at::Tensor& overflow = {});

  // Of the step noted last, on the device; each a tensor of this object's own, which the next step
  // overwrites.
  const at::Tensor& skip() const { return skip_; }  // 1 where it must change nothing, else 0; float
  const at::Tensor& norm() const { return norm_; }  // of its gradients
  const at::Tensor& tally() const {
    return tally_;
  }  // its loss, 0; where at fault 0, 1; double [2]

  struct Report {
    int64_t steps = 0;   // since the start, or restart()
    int64_t faults = 0;  // of these
    int64_t first = 0;   // the first one at fault, from 0; what follows is of that one
    double loss = 0, norm = 0, loss_scale = 0;
  };
  Report report() const;  // waits for the device
  void restart();

  // The weights before the first step at fault, where there was one.
  const nn::Weights& kept() const { return kept_; }

 private:
  void keep(const at::Tensor& is_first);

  nn::Weights weights_, kept_;
  at::Tensor skip_, norm_, tally_;
  at::Tensor report_;  // the numbers of Report in their order; double
};

}  // namespace vim::train
