// The projections between the convolution and the scan, of both directions at once: x = u x_proj^T,
// whose last columns are the step's low rank, and delta = steps dt_proj^T. T is __half or
// __nv_bfloat16; sums are float, and sums over tokens are in a fixed order. Without torch.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/rows.h"

namespace vim::ops::mixer::cuda {

inline constexpr int kMaxChannels = 768;
inline constexpr int kMaxWidth = 64;
inline constexpr int kMaxStepWidth = 32;

// Everything is contiguous. A token's row of x has `width` numbers: 2 state columns for the scan,
// then `step_width` of which the first `rank` are the step's and the others zeros.
struct ProjectionShape {
  int64_t tokens;
  int channels, state, rank, step_width;

  VIM_HOST_DEVICE int width() const { return 2 * state + step_width; }
};

// Whether the kernels take the shape, on the current device: within the limits above, in multiples
// of 8 channels, 8 columns of steps and 4 states, and with the shared memory that they need (100 kB
// a block for Vim-Ti, 154 for Vim-S). Pointers must be aligned to 16 bytes then.
bool fits(const ProjectionShape& shape);

template <class T>
struct Expansion {
  ProjectionShape shape;
  struct Direction {
    const T* x;        // [tokens, width]
    const T* dt_proj;  // [channels, step_width]
    T* delta;          // [tokens, channels]
  } direction[2];
};

// delta = steps dt_proj^T.
template <class T>
cudaError_t expand_steps(const Expansion<T>& work, cudaStream_t stream);

template <class T>
struct ProjectionGradients {
  ProjectionShape shape;
  struct Direction {
    const T *x, *u;             // [tokens, width], [tokens, channels]
    const T *x_proj, *dt_proj;  // [width, channels], [channels, step_width]
    const T* grad_delta;        // [tokens, channels]
    T* grad_x;                  // [tokens, width]: the scan's columns are given, the steps' written
    T* grad_u;                  // [tokens, channels]: what comes through x is added
    float* grad_x_proj[2];      // [2 state, channels], [rank, channels]
    float* grad_dt_proj;        // [channels, rank]
  } direction[2];
  float* workspace;  // workspace_floats(), aligned to 16
};

int64_t workspace_floats(const ProjectionShape& shape);

template <class T>
cudaError_t projection_gradients(const ProjectionGradients<T>& work, cudaStream_t stream);

}  // namespace vim::ops::mixer::cuda
