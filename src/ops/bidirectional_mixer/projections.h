// The projections between the convolution and the scan on a GPU, as tensors, both directions
// stacked: by the kernels of cuda_projections.h where they take the shape, else by cuBLAS.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/bidirectional_mixer/cuda_projections.h"

namespace vim::ops::mixer {

// delta [2, tokens, channels] of x [2, tokens, width] and dt_proj [2, channels, step_width].
at::Tensor expand_steps(const cuda::ProjectionShape& shape, const at::Tensor& x,
                        const at::Tensor& dt_proj);

// What the backward pass has when the scan's is through.
struct ProjectionBackward {
  at::Tensor x, u, x_proj, dt_proj;  // x_proj [2, width, channels]
  at::Tensor grad_delta;             // [2, tokens, channels]
  at::Tensor grad_x;                 // [2, tokens, width]: the columns of the steps are written
  at::Tensor grad_u;                 // [2, tokens, channels]: added to
};

// Gradients in the layouts of the parameters, float: x_proj [rank + 2 state, channels], dt_proj
// [channels, rank].
struct ProjectionWeights {
  at::Tensor x_proj, dt_proj;
};
void projection_gradients(const cuda::ProjectionShape& shape, const ProjectionBackward& work,
                          const ProjectionWeights (&to)[2]);

// a^T b in float, for the gradient of a weight, whose sum runs over all tokens: of matrices or of
// stacks of them.
at::Tensor float_product(const at::Tensor& a, const at::Tensor& b);

}  // namespace vim::ops::mixer
