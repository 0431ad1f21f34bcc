// The convolution's CUDA kernels, without torch. T is float, __half or __nv_bfloat16; sums and
// parameters are float.
#pragma once

#include <cuda_runtime.h>

#include "ops/rows.h"

namespace vim::ops::conv::cuda {

inline constexpr int kMaxTaps = 4;
inline constexpr int kMaxBranches = 2;

struct Parameters {
  const float* weight = nullptr;  // [channels, taps]
  const float* bias = nullptr;    // [channels] or null
};

// One branch is causal in the order of the rows (reverse ones run backwards). Of two, the second is
// the mirror image of the first: it reads the tokens after its own, and x is read once for both.
template <class T>
struct Inputs {
  int64_t batch, length, channels;
  int taps;  // 1 to kMaxTaps
  bool silu;
  int branches;
  Rows<const T> x;
  Parameters parameters[kMaxBranches];
};

template <class T>
struct Forward {
  Inputs<T> in;
  Rows<T> out[kMaxBranches];
};

struct ParameterGradients {
  float* weight = nullptr;  // [channels, taps]
  float* bias = nullptr;    // [channels], null without a bias
};

template <class T>
struct Backward {
  Inputs<T> in;
  Rows<const T> grad[kMaxBranches];
  Rows<T> grad_x;  // of all branches together
  ParameterGradients parameters[kMaxBranches];
  float* workspace;  // workspace_size() floats
};

// Numbers of the partial sums of the parameters' gradients.
int64_t workspace_size(int64_t batch, int64_t length, int64_t channels, int branches);

template <class T>
void forward(const Forward<T>& work, cudaStream_t stream);
template <class T>
void backward(const Backward<T>& work, cudaStream_t stream);

}  // namespace vim::ops::conv::cuda
