#include "ops/shared_memory.h"

#include <map>
#include <mutex>
#include <utility>

namespace vim::ops {

cudaError_t allow_shared_memory(const void* kernel, int bytes) {
  static std::mutex mutex;
  static std::map<std::pair<int, const void*>, int> allowed;  // by device and kernel
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  const std::lock_guard lock(mutex);
  int& now = allowed[{device, kernel}];
  if (bytes <= now) return cudaSuccess;
  error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (error == cudaSuccess) now = bytes;
  return error;
}

}  // namespace vim::ops
