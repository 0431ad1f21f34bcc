// The operators as the papers write them, in a few lines of ATen, differentiated by autograd.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <vector>

namespace vim::test {

struct ScanInputs {
  at::Tensor u, delta, A, B, C, D, z, delta_bias;  // D, z and delta_bias may be undefined
  bool delta_softplus = true, reverse = false;

  // Those that are there, in the order above.
  std::vector<at::Tensor> tensors() const {
    std::vector<at::Tensor> present;
    for (const at::Tensor& t : {u, delta, A, B, C, D, z, delta_bias}) {
      if (t.defined()) present.push_back(t);
    }
    return present;
  }
  // The places in that order of those that stay in float32 beside half precision: A, D, delta_bias.
  std::vector<size_t> parameters() const {
    std::vector<size_t> places = {2};
    if (D.defined()) places.push_back(5);
    if (delta_bias.defined()) places.push_back(tensors().size() - 1);
    return places;
  }
};

inline at::Tensor scan_oracle(const ScanInputs& in) {
  at::Tensor delta = in.delta_bias.defined() ? in.delta + in.delta_bias : in.delta;
  if (in.delta_softplus) delta = at::softplus(delta);
  at::Tensor h = at::zeros({in.u.size(0), in.u.size(2), in.A.size(1)}, in.u.options());
  std::vector<at::Tensor> outs(in.u.size(1));
  for (int64_t i = 0; i < in.u.size(1); ++i) {
    const int64_t t = in.reverse ? in.u.size(1) - 1 - i : i;
    const at::Tensor step = delta.select(1, t).unsqueeze(-1);  // [batch, channels, 1]
    const at::Tensor input = in.B.select(1, t).unsqueeze(1) * in.u.select(1, t).unsqueeze(-1);
    h = at::exp(step * in.A) * h + step * input;
    outs[t] = (h * in.C.select(1, t).unsqueeze(1)).sum(-1);
  }
  at::Tensor out = at::stack(outs, 1);
  if (in.D.defined()) out = out + in.D * in.u;
  return in.z.defined() ? out * at::silu(in.z) : out;
}

inline at::Tensor conv_oracle(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                              bool silu, bool reverse) {
  const int64_t channels = x.size(2), taps = weight.size(1);
  const at::Tensor tokens_last = (reverse ? x.flip(1) : x).transpose(1, 2);
  const at::Tensor padded = at::constant_pad_nd(tokens_last, {taps - 1, 0});
  at::Tensor y = at::conv1d(padded, weight.unsqueeze(1), bias, 1, at::IntArrayRef(0), 1, channels)
                     .transpose(1, 2);
  if (silu) y = at::silu(y);
  return reverse ? y.flip(1) : y;
}

inline at::Tensor norm_oracle(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return x * at::rsqrt(x.square().mean(-1, true) + eps) * weight;
}

}  // namespace vim::test
