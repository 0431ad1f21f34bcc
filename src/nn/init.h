// Initial values of parameters (specification: the official code's order and distributions). All
// draw from torch's default CPU generator and want at::NoGradGuard where they write in place.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace vim::nn {

// Normal with mean 0, cut at +-2 (an absolute bound, as timm's trunc_normal_).
void truncated_normal_(at::Tensor& tensor, double std, double bound = 2.0);

// LeCun normal for a convolution's weight [out, in, kernel, kernel]; `absolute_bound` cuts at +-2,
// which is no cut at all at this width, instead of at two standard deviations.
void lecun_normal_(at::Tensor& weight, bool absolute_bound);

// log(1..states) in each of `channels` rows (S4D-real).
at::Tensor initial_A_log(int64_t channels, int64_t states);

// Such that softplus of it is log-uniform in [0.001, 0.1].
void initialize_delta_bias(at::Tensor& bias);

}  // namespace vim::nn
