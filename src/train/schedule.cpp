#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vim::train {

double CosineLr::at(double t) const {
  if (t < warmup) return warmup_lr + t * (peak_lr - warmup_lr) / warmup;
  if (warmup_prefix) t -= warmup;
  if (t >= cycle) return min_lr;
  return min_lr + 0.5 * (peak_lr - min_lr) * (1 + std::cos(std::numbers::pi * t / cycle));
}

double Schedule::lr(int64_t step) const {
  double epoch = static_cast<double>(step) / static_cast<double>(steps_per_epoch);
  if (config.per_epoch) {
    epoch = std::floor(epoch);
    if (config.lr_epoch_offset) epoch = std::max(0.0, epoch - 1);
  }
  const double total = static_cast<double>(epochs);
  return CosineLr{.cycle = config.warmup_prefix ? total - config.warmup_epochs : total,
                  .warmup = config.warmup_epochs,
                  .warmup_prefix = config.warmup_prefix,
                  .warmup_lr = config.warmup_lr,
                  .peak_lr = peak_lr,
                  .min_lr = config.min_lr}
      .at(epoch);
}

double scaled_lr(const OptimConfig& config, int64_t global_batch) {
  if (config.lr_base_batch == 0) return config.lr;
  return config.lr * static_cast<double>(global_batch) / static_cast<double>(config.lr_base_batch);
}

}  // namespace vim::train
