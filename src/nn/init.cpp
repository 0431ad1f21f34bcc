#include "nn/init.h"

#include <ATen/ATen.h>

#include <cmath>

namespace vim::nn {

// Inverse transform of a uniform number between the bounds' probabilities.
void truncated_normal_(at::Tensor& tensor, double std, double bound) {
  const double probability = std::erf(bound / std / std::sqrt(2.0));
  // erfinv(1) is infinite, and in float 1 - 2^-24 is the last number before it.
  const double limit = std::min(probability, 1 - 0x1p-23);
  tensor.uniform_(-limit, limit).erfinv_().mul_(std * std::sqrt(2.0)).clamp_(-bound, bound);
}

void lecun_normal_(at::Tensor& weight, bool absolute_bound) {
  const double fan_in = static_cast<double>(weight.numel() / weight.size(0));
  // A normal distribution cut at two standard deviations keeps 0.8796 of its standard deviation.
  const double std = std::sqrt(1 / fan_in) / .87962566103423978;
  truncated_normal_(weight, std, absolute_bound ? 2.0 : 2 * std);
}

at::Tensor initial_A_log(int64_t channels, int64_t states) {
  return at::arange(1, states + 1, at::kFloat).log().expand({channels, states}).contiguous();
}

void initialize_delta_bias(at::Tensor& bias) {
  constexpr double kMin = 0.001, kMax = 0.1, kFloor = 1e-4;
  const at::Tensor delta = at::rand_like(bias)
                               .mul(std::log(kMax) - std::log(kMin))
                               .add(std::log(kMin))
                               .exp()
                               .clamp_min(kFloor);
  bias.copy_(delta + (-(-delta).expm1()).log());  // the inverse of softplus
}

}  // namespace vim::nn
