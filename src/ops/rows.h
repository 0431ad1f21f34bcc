// How tensors reach the kernels.
#pragma once

#include <stdint.h>

#if defined(__CUDACC__)
#define VIM_HOST_DEVICE __host__ __device__
#else
#define VIM_HOST_DEVICE
#endif

namespace vim::ops {

// [batch, length, n] with contiguous last dimension; `data` is null for an absent tensor. A
// negative token stride, with `data` at the last token, presents the tokens in reverse order.
template <class T>
struct Rows {
  T* data = nullptr;
  int64_t batch_stride = 0;
  int64_t token_stride = 0;

  VIM_HOST_DEVICE T* at(int64_t sample, int64_t token) const {
    return data + sample * batch_stride + token * token_stride;
  }
};

}  // namespace vim::ops
