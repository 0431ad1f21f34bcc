// The CUDA kernels of the selective scan: plain arguments and their launchers, for T = float,
// __half and __nv_bfloat16. States and sums are float in all of them; A, D, delta_bias and their
// gradients are float too. One launch walks one direction or both:
//   out = scale * (sum over directions of (<C_t, h_t> + D u_t)) * silu(z)
// Launchers neither wait nor allocate, and can be captured into a graph. The same arguments give
// the same bits on the same kind of device. An argument outside of the limits given here is
// answered with cudaErrorInvalidValue, before anything is launched.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/rows.h"

namespace vim::ops::scan::cuda {

inline constexpr int64_t kMaxState = 64;

template <class T>
struct Direction {
  Rows<const T> u, delta;   // [batch, length, channels]
  Rows<const T> B, C;       // [batch, length, state]
  const float* A;           // [channels, state]
  const float* D;           // [channels], or null
  const float* delta_bias;  // [channels], or null
  bool reverse;             // from the last token to the first
};

// A sample of a tensor, length * token_stride, is at most 2^31 - 1 elements; pointers are aligned
// to T and no more. Those whose pairs of channels are aligned are read faster.
template <class T>
struct Inputs {
  int64_t batch, length, channels, state;  // state <= kMaxState; 16 and fewer are fast
  int directions;                          // 1, or 2 that are opposite
  Direction<T> direction[2];
  Rows<const T> z;  // the gate of the sum; absent: no gate
  bool delta_softplus;
  float scale;
};

// What the forward pass leaves to the backward pass: the sum before the gate, and checkpoints of h.
template <class T>
int64_t saved_bytes(const Inputs<T>& in);

// A direction's delta as products of narrow rows, each rounded to T.
inline constexpr int kStepWidth = 16;
template <class T>
struct Steps {
  Rows<const T> rows;  // [batch, length, kStepWidth]
  const T* weight;     // [channels, kStepWidth]
};

template <class T>
struct Forward {
  Inputs<T> in;
  Rows<T> out;             // none of the inputs
  void* saved;             // saved_bytes, aligned to 16; null where no backward pass follows
  Steps<T> steps[2] = {};  // in place of delta, where they are not absent

  bool has_steps() const { return steps[0].weight != nullptr; }
};

// Whether `forward` takes steps in place of delta, and is the better for it: 16-bit types, 16
// states, nothing saved, aligned rows, and a shape for one of the kernels that can.
template <class T>
bool takes_steps(const Forward<T>& work);

template <class T>
cudaError_t forward(const Forward<T>& work, cudaStream_t stream);

// Of one direction. Everything is overwritten.
template <class T>
struct Gradients {
  Rows<T> u, delta, B, C;
  float* A;               // [channels, state]
  float *D, *delta_bias;  // [channels], null where the input is
};

// Scratch of the backward pass on the current device.
template <class T>
int64_t workspace_bytes(const Inputs<T>& in);

template <class T>
struct Backward {
  Inputs<T> in;
  const void* saved;
  Rows<const T> grad_out;
  Gradients<T> grad[2];
  Rows<T> grad_z;   // absent where z is
  Rows<T> out;      // where there is z, the result of the forward pass once more, so that nobody
                    // has to keep it; or absent
  void* workspace;  // workspace_bytes, aligned to 16
};

template <class T>
cudaError_t backward(const Backward<T>& work, cudaStream_t stream);

}  // namespace vim::ops::scan::cuda
