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

// timm's CosineLRScheduler, in any unit of time.
struct CosineLr {
  double cycle;  // length of the half cosine
  double warmup;
  bool warmup_prefix;  // the cosine starts after the warm-up; else it runs from 0, hidden by the
                       // warm-up
  double warmup_lr, peak_lr, min_lr;

  double at(double t) const;
};

// `optim.lr` for this global batch.
double scaled_lr(const OptimConfig& config, int64_t global_batch);

}  // namespace vim::train
