// Memory for batches, used again.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <mutex>
#include <vector>

namespace vim::data {

// Keeps up to `limit` buffers of pixels. A buffer is free when nobody but the pool holds its
// storage; a view is enough to hold it. Safe to use from many threads at once.
class BatchBuffers {
 public:
  // Pinned: for copies to a CUDA device that do not wait.
  BatchBuffers(size_t limit, bool pinned) : limit_(limit), pinned_(pinned) {}

  // uint8 of that shape, with any content.
  at::Tensor pixels(at::IntArrayRef shape);

  // Ends the maker's hold on a buffer: what its threads wrote happens before another use.
  void give_back(at::Tensor& pixels);

  // int64 [count], with any content.
  at::Tensor numbers(int64_t count) const;

 private:
  size_t limit_;
  bool pinned_;
  std::mutex mutex_;
  std::vector<at::Tensor> buffers_;
};

}  // namespace vim::data
