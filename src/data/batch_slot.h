// A batch in the making.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <vector>

#include "data/batch_buffers.h"
#include "data/sampler.h"
#include "vim/data/loader.h"
#include "vim/data/sample.h"

namespace vim::data {

// Threads fill its rows, each row one of them; `start` and `finish` while none does. A buffer has
// room for `batch_size` images, so that the last batch of an epoch needs none of its own.
class BatchSlot {
 public:
  BatchSlot(BatchBuffers& buffers, int64_t batch_size)
      : buffers_(buffers), batch_size_(batch_size) {}

  void start(int64_t index, std::vector<Pick> picks);
  int64_t size() const { return std::ssize(picks_); }
  const Pick& pick(int64_t row) const { return picks_[row]; }

  // False where the image has another size than those before it.
  bool put(int64_t row, const Sample& sample);
  cv::Size image_size() const;  // of those before it
  void leave_out(int64_t row);
  void fail(int64_t row, std::exception_ptr error);

  // The batch without what was left out, or nothing where that is everything. Throws the error of
  // the first row that has one, whichever thread was faster.
  std::optional<Batch> finish(int64_t epoch) const;

  // Lets go of the memory, which the batch may keep.
  void release();

 private:
  uint8_t* row_pixels(int64_t row, const cv::Mat& image);

  BatchBuffers& buffers_;
  int64_t batch_size_;
  int64_t index_ = 0;  // of the batch in the epoch
  std::vector<Pick> picks_;
  at::Tensor labels_, ids_;

  mutable std::mutex mutex_;  // of what follows
  at::Tensor images_;         // [batch_size, height, width, channels], once a row shows the size
  std::vector<int64_t> left_out_;
  int64_t error_row_ = 0;
  std::exception_ptr error_;
};

}  // namespace vim::data
