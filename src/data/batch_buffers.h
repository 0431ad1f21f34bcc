// Memory for batches, used again.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

namespace vim::data {

// Keeps up to `limit` buffers. A buffer is free when nobody but the pool holds its storage; a view
// is enough to hold it. One thread at a time.
class BatchBuffers {
 public:
  BatchBuffers(size_t limit, bool pinned) : limit_(limit), pinned_(pinned) {}

  // uint8 of that shape, with any content.
  at::Tensor take(at::IntArrayRef shape);

 private:
  size_t limit_;
  bool pinned_;
  std::vector<at::Tensor> buffers_;
};

}  // namespace vim::data
