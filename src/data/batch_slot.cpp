#include "data/batch_slot.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace vim::data {
namespace {

// The batch without some rows.
at::Tensor without(const at::Tensor& rows, const std::vector<int64_t>& left_out) {
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    if (!std::ranges::binary_search(left_out, i)) kept.push_back(i);
  }
  return rows.index_select(0, at::tensor(kept));
}

}  // namespace

void BatchSlot::start(int64_t index, std::vector<Pick> picks) {
  index_ = index;
  picks_ = std::move(picks);
  labels_ = buffers_.numbers(size());
  ids_ = buffers_.numbers(size());
  release();
  left_out_.clear();
  error_ = nullptr;
}

bool BatchSlot::put(int64_t row, const Sample& sample) {
  const cv::Mat& image = sample.image;
  uint8_t* pixels = row_pixels(row, image);
  if (pixels == nullptr) return false;
  const size_t bytes = image.cols * image.elemSize();
  for (int y = 0; y < image.rows; ++y) std::memcpy(pixels + y * bytes, image.ptr(y), bytes);
  labels_.mutable_data_ptr<int64_t>()[row] = sample.label;
  ids_.mutable_data_ptr<int64_t>()[row] = sample.id;
  return true;
}

uint8_t* BatchSlot::row_pixels(int64_t row, const cv::Mat& image) {
  const std::vector<int64_t> shape = {batch_size_, image.rows, image.cols, image.channels()};
  const std::lock_guard lock(mutex_);
  if (!images_.defined()) images_ = buffers_.pixels(shape);
  if (images_.sizes() != at::IntArrayRef(shape)) return nullptr;
  return images_.mutable_data_ptr<uint8_t>() +
         row * static_cast<int64_t>(image.total() * image.elemSize());
}

cv::Size BatchSlot::image_size() const {
  const std::lock_guard lock(mutex_);
  return {static_cast<int>(images_.size(2)), static_cast<int>(images_.size(1))};
}

void BatchSlot::leave_out(int64_t row) {
  const std::lock_guard lock(mutex_);
  left_out_.push_back(row);
}

void BatchSlot::fail(int64_t row, std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  if (error_ && error_row_ <= row) return;
  error_ = std::move(error);
  error_row_ = row;
}

std::optional<Batch> BatchSlot::finish(int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(error_);
  if (std::ssize(left_out_) == size()) return std::nullopt;
  Batch batch = {images_.narrow(0, 0, size()), labels_, ids_, epoch, index_};
  if (left_out_.empty()) return batch;
  std::vector<int64_t> rows = left_out_;
  std::ranges::sort(rows);
  for (at::Tensor* tensor : {&batch.images, &batch.labels, &batch.ids}) {
    *tensor = without(*tensor, rows);
  }
  return batch;
}

void BatchSlot::release() {
  const std::lock_guard lock(mutex_);
  buffers_.give_back(images_);
}

}  // namespace vim::data
