// A mixer's parameters, the sizes that follow from them, and the form in which products and kernels
// want them.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/bidirectional_mixer/cuda_projections.h"
#include "ops/both_directions/cuda_stages.h"
#include "vim/ops/ops.h"

namespace vim::ops::mixer {

// The parameters, as they are given.
struct Problem {
  at::Tensor in_proj, out_proj;
  std::array<MixerBranch, 2> branch;
  bool average;
  int64_t batch, length, embed, inner, state, rank;

  int64_t tokens() const { return batch * length; }
  // Columns of the scan's input: B, C, the step's low rank, and zeros up to a multiple of 8,
  // without which cuBLAS takes slow kernels.
  int64_t step_width() const { return (2 * state + rank + 7) / 8 * 8 - 2 * state; }
  int64_t x_width() const { return 2 * state + step_width(); }
  cuda::ProjectionShape projections() const {
    return {tokens(), static_cast<int>(inner), static_cast<int>(state), static_cast<int>(rank),
            static_cast<int>(step_width())};
  }
  both::Two of_both(at::Tensor MixerBranch::*parameter) const {
    return {branch[0].*parameter, branch[1].*parameter};
  }
};

inline constexpr int64_t kBranchTensors = 7;  // in the order of MixerBranch

// Of tokens [batch, length, embed]; throws where sizes or types do not fit together.
Problem make_problem(const at::Tensor& tokens, const at::Tensor& in_proj, at::TensorList forward,
                     at::TensorList backward, const at::Tensor& out_proj, bool average);

// The weights as the products and kernels want them.
struct Packed {
  at::Tensor in_proj, out_proj;  // in the compute type
  at::Tensor x_proj;             // [2, x_width, inner]: the rows of B, C, the step, zeros
  at::Tensor dt_proj;            // [2, inner, step_width]
  at::Tensor A;                  // [2, inner, state], float
};
Packed pack(const Problem& p, at::ScalarType dtype);

}  // namespace vim::ops::mixer
