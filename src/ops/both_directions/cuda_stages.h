// The kernels that walk tokens, called for both directions at once with tensors: what the mixer and
// the functions of vim/ops/both_directions.h consist of.
//
// Tensors of both directions are stacked, the forward one first. Those of tokens are views with a
// contiguous last dimension, in one storage type; parameters and their gradients are contiguous
// floats. Nothing is checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

namespace vim::ops::both {

// One tensor for each direction.
using Two = std::array<at::Tensor, 2>;

// The two halves of a stacked tensor.
inline Two halves(const at::Tensor& stacked) {
  return {stacked[0], stacked[1]};
}

struct ScanInputs {
  at::Tensor u, delta;  // [2, batch, length, channels]
  at::Tensor B, C;      // [2, batch, length, state]
  at::Tensor z;         // [batch, length, channels]
  Two A;                // [channels, state]
  Two D, delta_bias;    // [channels]
  double scale;
  // What delta is a product of, where it is absent.
  at::Tensor steps = {}, step_weight = {};  // [2, batch, length, width], [2, channels, width]
};

// Whether scan_forward takes an absent delta, where nothing is to be saved. Not all kernels compute
// it where it is needed, which saves writing and reading it.
bool takes_steps(const ScanInputs& in, const at::Tensor& out);

// Into `out` [batch, length, channels], which may share its memory with what is none of the inputs;
// `saved` receives what the backward pass needs, where there will be one.
void scan_forward(const ScanInputs& in, const at::Tensor& out, at::Tensor* saved);

// Of the shapes of the inputs; everything is overwritten.
struct ScanGradients {
  at::Tensor u, delta, B, C, z;
  Two A, D, delta_bias;
  at::Tensor out;  // the result of the forward pass once more
};
void scan_backward(const ScanInputs& in, const at::Tensor& saved, const at::Tensor& grad_out,
                   const ScanGradients& to);

struct ConvInputs {
  at::Tensor x;      // [batch, length, channels]
  Two weight, bias;  // [channels, taps], [channels]
};

// Both convolutions of x through SiLU, [2, batch, length, channels].
at::Tensor convolve(const ConvInputs& in);

struct ConvGradients {
  at::Tensor x;
  Two weight, bias;
};
void conv_backward(const ConvInputs& in, const at::Tensor& grad_out, const ConvGradients& to);

}  // namespace vim::ops::both
