// The operators of Vision Mamba that ATen lacks. Tensors are channels-last, [batch, length,
// channels]; all operators are differentiable once, in every tensor, and the same inputs give the
// same bits on a device whatever the number of threads. Shapes or dtypes that do not fit throw
// c10::Error. An undefined tensor counts as an absent one.
//
// Activations are float32, on the CPU also float64, on a GPU also float16 and bfloat16. Beside
// those two the parameters (A, D, delta_bias, weight, bias) and the residual stream are float32,
// and so are the kernels' states and sums.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <tuple>

namespace vim::ops {

using OptionalTensor = std::optional<at::Tensor>;

// The selective scan of Mamba (arXiv 2312.00752, algorithm 2) with its gate. For each sample and
// channel, h a vector of `state` numbers that begins as zero,
//   h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t,   out_t = (<C_t, h_t> + D u_t) silu(z_t).
// u, delta, z     [batch, length, channels]
// A               [channels, state]
// B, C            [batch, length, state]
// D, delta_bias   [channels]
// delta_softplus  delta becomes softplus(delta + delta_bias): the identity above 20
// reverse         from the last token to the first
// A GPU takes up to 64 states. Views with a contiguous last dimension (slices of a projection) are
// read in place.
at::Tensor selective_scan(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                          const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                          const OptionalTensor& z, const OptionalTensor& delta_bias,
                          bool delta_softplus, bool reverse);

// Depthwise convolution over the tokens t - taps + 1 .. t (zeros before the first):
//   out_t = bias + sum_k weight[k] x_{t - (taps - 1) + k},   through SiLU where asked.
// x       [batch, length, channels], its last dimension contiguous or copied
// weight  [channels, taps]
// bias    [channels]
// reverse the mirror image: the tokens t + taps - 1 .. t
at::Tensor causal_conv1d(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias,
                         bool silu, bool reverse);

// s = x + residual (x alone without residual); returns (s / sqrt(mean(s^2) + eps) * weight, s), the
// mean over the last dimension. Any shape; weight [channels].
std::tuple<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const OptionalTensor& residual,
                                                const at::Tensor& weight, double eps);

// The same without a residual, the norm alone.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

// One direction's parameters of the bidirectional mixer, named as in the model.
struct MixerBranch {
  at::Tensor conv_weight, conv_bias;  // [channels, taps], [channels]
  at::Tensor x_proj;                  // [rank + 2 state, channels]
  at::Tensor dt_proj, delta_bias;     // [channels, rank], [channels]
  at::Tensor A_log, D;                // [channels, state], [channels]
};

// The whole bidirectional mixer (Vision Mamba, algorithm 1, lines 4 to 21) as one differentiable
// unit, on a GPU: tokens [batch, length, dim] through in_proj [2 channels, dim], in both directions
// convolution, projections and scan, their gated sum or mean, and out_proj [dim, channels].
// Computes in the type that autocast asks for, else in that of the tokens. Parameters are float32
// and contiguous. For the backward pass it keeps the tokens and the scan's history, or, with
// `recompute`, the tokens alone, and computes the rest of the forward pass again.
at::Tensor bidirectional_mixer(const at::Tensor& tokens, const at::Tensor& in_proj,
                               const MixerBranch& forward, const MixerBranch& backward,
                               const at::Tensor& out_proj, bool average, bool recompute);

// Whether every operator has kernels for such a device in this build.
bool supports(at::DeviceType device);

}  // namespace vim::ops
