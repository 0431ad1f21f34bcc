#include "data/batch_buffers.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace vim::data {

at::Tensor BatchBuffers::pixels(at::IntArrayRef shape) {
  const auto options = at::TensorOptions(at::kByte).pinned_memory(pinned_);
  // Pinned memory is kept by torch's allocator, which knows the copies that still read it.
  if (pinned_) return at::empty(shape, options);
  const std::lock_guard lock(mutex_);
  const auto free = std::ranges::find_if(buffers_, [&](const at::Tensor& buffer) {
    return buffer.sizes() == shape && buffer.storage().use_count() == 1;
  });
  if (free != buffers_.end()) {
    // use_count() is a relaxed load. A count that goes up and down again is ordered after whatever
    // the last holder did before it let go.
    static_cast<void>(at::Storage(free->storage()));
    return free->alias();
  }
  const at::Tensor buffer = at::empty(shape, options);
  if (buffers_.size() < limit_) buffers_.push_back(buffer);
  return buffer.alias();
}

void BatchBuffers::give_back(at::Tensor& pixels) {
  const std::lock_guard lock(mutex_);
  pixels.reset();
}

at::Tensor BatchBuffers::numbers(int64_t count) const {
  return at::empty({count}, at::TensorOptions(at::kLong).pinned_memory(pinned_));
}

}  // namespace vim::data
