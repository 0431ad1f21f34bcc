// The learning rate, a pure function of the step.
#pragma once

#include <cstdint>

#include "vim/train/config.h"

namespace vim::train {

struct Schedule {
  ScheduleConfig config;
  double peak_lr;  // scaled by the global batch
  int64_t steps_per_epoch;
  int64_t epochs;

  // The rate of step `step` (0-based, over the whole training).
  double lr(int64_t step) const;
};

// timm's CosineLRScheduler at time `t` of `total` (any unit): from `warmup_lr` linearly to `peak_lr` over
// `warmup`, then along the cosine of t / total down to `min_lr`. The cosine has no prefix: at the end of the
// warm-up it is already t / total on its way.
double cosine_lr(double t, double total, double warmup, double warmup_lr, double peak_lr, double min_lr);

// `optim.lr` for this global batch.
double scaled_lr(const OptimConfig& config, int64_t global_batch);

}  // namespace vim::train
