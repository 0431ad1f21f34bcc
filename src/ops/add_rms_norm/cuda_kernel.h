// The norm's CUDA kernels, without torch. x and y are T (float, __half or __nv_bfloat16); the sum,
// which is the residual stream, its gradient and the weights are float whatever T.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

namespace vim::ops::norm::cuda {

inline constexpr int64_t kMaxChannels = 2048;

// All matrices are [rows, channels], contiguous.
template <class T>
struct Forward {
  int64_t rows, channels;
  const T* x;
  const float* residual;  // or null: the sum is x
  const float* weight;    // [channels]
  float eps;
  T* y;
  float* sum;  // null without a residual
  // For the backward pass, or null: sum * scale, and [rows] of 1 / sqrt(mean(sum^2) + eps).
  T* normed;
  float* scale;
};

template <class T>
struct Backward {
  int64_t rows, channels;
  const T* grad_y;
  const float* grad_sum;  // or null: zero
  const T* normed;
  const float* weight;
  const float* scale;
  T* grad_x;
  float* grad_residual;  // the same numbers as float, or null
  float* grad_weight;    // [channels]
  float* workspace;      // workspace_size() floats
};

// Numbers of the partial sums of the weight's gradient.
int64_t workspace_size(int64_t rows, int64_t channels);

template <class T>
void forward(const Forward<T>& work, cudaStream_t stream);
template <class T>
void backward(const Backward<T>& work, cudaStream_t stream);

}  // namespace vim::ops::norm::cuda
