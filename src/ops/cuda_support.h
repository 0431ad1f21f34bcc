// From tensors to the CUDA kernels: storage types, the stream.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "ops/tensors.h"

namespace vim::ops {

// Calls work(T{}) with the type in which the kernels store numbers of this dtype.
template <class Work>
void with_storage_type(const char* op, at::ScalarType dtype, const Work& work) {
  switch (dtype) {
    case at::kFloat:
      return work(float{});
    case at::kHalf:
      return work(__half{});
    case at::kBFloat16:
      return work(__nv_bfloat16{});
    default:
      TORCH_CHECK(false, op, ": on a GPU it takes float32, float16 or bfloat16, got ", dtype);
  }
}

// The tensor's numbers, T being their storage type; null where it is absent.
template <class T>
T* storage(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}

inline cudaStream_t current_stream() {
  return c10::cuda::getCurrentCUDAStream().stream();
}

}  // namespace vim::ops
