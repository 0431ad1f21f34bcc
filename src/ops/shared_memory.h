// More than 48 KB of shared memory for a block, for which a kernel has to ask.
#pragma once

#include <cuda_runtime_api.h>

namespace vim::ops {

// Lets `kernel` be launched with so many bytes of dynamic shared memory on the current device. What
// it was once allowed stays allowed: threads may launch it at the same time with different sizes.
cudaError_t allow_shared_memory(const void* kernel, int bytes);

template <class... Arguments>
cudaError_t allow_shared_memory(void (*kernel)(Arguments...), int bytes) {
  return allow_shared_memory(reinterpret_cast<const void*>(kernel), bytes);
}

}  // namespace vim::ops
