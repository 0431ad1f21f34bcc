// The two parts of the bidirectional mixer that walk tokens, each for both directions at once: on a
// GPU the launches that the mixer consists of, on the CPU one direction after the other. For
// whoever measures or tests them alone; differentiable as the other operators.
//
// Tensors of both directions are stacked, the forward one first.
#pragma once

#include <ATen/core/Tensor.h>

namespace vim::ops {

// scale * (the sum of both directions' scans before their gate) * silu(z), with softplus.
// u, delta       [2, batch, length, channels]
// A              [2, channels, state]
// B, C           [2, batch, length, state]
// D, delta_bias  [2, channels]
// z              [batch, length, channels]
at::Tensor both_scans(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                      const at::Tensor& B, const at::Tensor& C, const at::Tensor& D,
                      const at::Tensor& z, const at::Tensor& delta_bias, double scale);

// Both convolutions of x through SiLU, [2, batch, length, channels].
// x [batch, length, channels]; weight [2, channels, taps]; bias [2, channels]
at::Tensor both_convolutions(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace vim::ops
