#include "train/progress_line.h"

#include <cmath>
#include <iomanip>

#include "vim/core/text.h"

namespace vim::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

ProgressLine::ProgressLine(int64_t epochs, int64_t steps, int64_t images_per_step,
                           int64_t first_step)
    : epochs_(epochs), steps_(steps), images_per_step_(images_per_step), first_step_(first_step) {}

void ProgressLine::start_epoch(int64_t step) {
  epoch_first_step_ = step;
  epoch_start_ = Clock::now();
}

double ProgressLine::seconds() const {
  return seconds_since(epoch_start_);
}

double ProgressLine::images_per_second(int64_t step) const {
  return static_cast<double>((step - epoch_first_step_) * images_per_step_) / seconds();
}

std::string ProgressLine::text(int64_t step, double loss, double lr,
                               double data_wait_seconds) const {
  const double elapsed = seconds_since(start_);
  const double per_step = elapsed / static_cast<double>(step - first_step_);
  const int64_t in_epoch = (step - 1) % steps_ + 1;
  return concat("epoch ", (step - 1) / steps_ + 1, "/", epochs_, "  step ", in_epoch, "/", steps_,
                "  loss ", fixed(loss, 4), "  ETA ",
                as_duration(per_step * static_cast<double>(epochs_ * steps_ - step)), "  ",
                std::llround(images_per_step_ / per_step), " img/s  lr ", std::setprecision(3), lr,
                "  data wait ", std::llround(100 * data_wait_seconds / elapsed), "%");
}

}  // namespace vim::train
