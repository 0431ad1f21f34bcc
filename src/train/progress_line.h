// The line that tells a person how far an epoch is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace vim::train {

class ProgressLine {
 public:
  // `epochs` and `steps` an epoch in all; the training starts at `first_step`, counted over all
  // epochs.
  ProgressLine(int64_t epochs, int64_t steps, int64_t images_per_step, int64_t first_step);

  // Step `step` is the first of the epoch that this process trains.
  void start_epoch(int64_t step);

  // After a step: the text for log::status.
  std::string text(int64_t step, double loss, double lr, double data_wait_seconds) const;

  // Since start_epoch.
  double seconds() const;
  double images_per_second(int64_t step) const;

 private:
  using Clock = std::chrono::steady_clock;
  int64_t epochs_, steps_, images_per_step_, first_step_;
  int64_t epoch_first_step_ = 0;
  Clock::time_point start_ = Clock::now();
  Clock::time_point epoch_start_ = Clock::now();
};

}  // namespace vim::train
