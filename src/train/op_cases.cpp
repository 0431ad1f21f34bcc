#include "train/op_cases.h"

#include <ATen/ATen.h>

#include <cmath>

#include "vim/ops/both_directions.h"
#include "vim/ops/ops.h"

namespace vim::train {
namespace {

constexpr int64_t kTaps = 4;
constexpr double kEps = 1e-5;

// Numbers of the sizes that a Vision Mamba has: rates of 1 to `state`, steps of 0.001 to 0.7.
at::Tensor random_rates(at::IntArrayRef leading, int64_t state, const at::TensorOptions& options) {
  std::vector<int64_t> sizes(leading.begin(), leading.end());
  sizes.push_back(state);
  return at::arange(1, state + 1, options) * (1 + 0.1 * at::randn(sizes, options));
}
at::Tensor random_delta_bias(at::IntArrayRef sizes, const at::TensorOptions& options) {
  return -6.5 + 6.5 * at::rand(sizes, options);
}

// --- Scan, convolution, norm -------------------------------------------------------------------

Tensors make_scan(const OpShape& s, int64_t state, const at::TensorOptions& options) {
  const auto floats = options.dtype(at::kFloat);
  return {at::randn({2, s.batch, s.length, s.channels}, options),
          0.3 * at::randn({2, s.batch, s.length, s.channels}, options),
          -random_rates({2, s.channels}, state, floats),
          at::randn({2, s.batch, s.length, state}, options),
          at::randn({2, s.batch, s.length, state}, options),
          1 + 0.1 * at::randn({2, s.channels}, floats),
          at::randn({s.batch, s.length, s.channels}, options),
          random_delta_bias({2, s.channels}, floats)};
}

Tensors scan(const Tensors& t) {
  return {ops::both_scans(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], 0.5)};
}

Tensors make_convolution(const OpShape& s, int64_t /*state*/, const at::TensorOptions& options) {
  const auto floats = options.dtype(at::kFloat);
  return {at::randn({s.batch, s.length, s.channels}, options),
          0.5 * at::randn({2, s.channels, kTaps}, floats), at::randn({2, s.channels}, floats)};
}

Tensors convolution(const Tensors& t) {
  return {ops::both_convolutions(t[0], t[1], t[2])};
}

Tensors make_norm(const OpShape& s, int64_t /*state*/, const at::TensorOptions& options) {
  const auto floats = options.dtype(at::kFloat);
  const int64_t dim = s.channels / 2;
  return {at::randn({s.batch, s.length, dim}, options), at::randn({s.batch, s.length, dim}, floats),
          1 + 0.1 * at::randn({dim}, floats)};
}

Tensors norm(const Tensors& t) {
  const auto [y, sum] = ops::add_rms_norm(t[0], t[1], t[2], kEps);
  return {y, sum};
}

// --- The mixer ---------------------------------------------------------------------------------

constexpr size_t kBranch = 2, kBranchTensors = 7, kOutProj = kBranch + 2 * kBranchTensors;

Tensors make_mixer(const OpShape& s, int64_t state, const at::TensorOptions& options) {
  const auto floats = options.dtype(at::kFloat);
  const int64_t dim = s.channels / 2, inner = s.channels, rank = (dim + 15) / 16;
  const auto weight = [&](int64_t rows, int64_t columns) {
    return at::randn({rows, columns}, floats) / std::sqrt(static_cast<double>(columns));
  };
  Tensors t = {at::randn({s.batch, s.length, dim}, options), weight(2 * inner, dim)};
  for (int i = 0; i < 2; ++i) {
    t.insert(t.end(), {weight(inner, kTaps), 0.1 * at::randn({inner}, floats),
                       weight(rank + 2 * state, inner), weight(inner, rank),
                       random_delta_bias({inner}, floats),
                       random_rates({inner}, state, floats).abs().clamp_min(0.1).log(),
                       1 + 0.1 * at::randn({inner}, floats)});
  }
  t.push_back(weight(dim, inner));
  return t;
}

ops::MixerBranch branch_of(const Tensors& t, size_t i) {
  const auto* b = &t[kBranch + i * kBranchTensors];
  return {b[0], b[1], b[2], b[3], b[4], b[5], b[6]};
}

// As the model computes it where there is no fused mixer.
Tensors mixer_by_parts(const Tensors& t) {
  const auto halves = at::linear(t[0], t[1]).chunk(2, -1);
  const auto direction = [&](size_t i) {
    const ops::MixerBranch b = branch_of(t, i);
    const int64_t rank = b.dt_proj.size(1), state = b.A_log.size(1);
    const at::Tensor u = ops::causal_conv1d(halves[0], b.conv_weight, b.conv_bias, true, i == 1);
    const auto x = at::linear(u, b.x_proj).split_with_sizes({rank, state, state}, -1);
    return ops::selective_scan(u, at::linear(x[0], b.dt_proj), -b.A_log.exp(), x[1], x[2], b.D,
                               halves[1], b.delta_bias, true, i == 1);
  };
  return {at::linear((direction(0) + direction(1)) / 2, t[kOutProj])};
}

Tensors mixer(const Tensors& t) {
  if (!t[0].is_cuda()) return mixer_by_parts(t);
  return {ops::bidirectional_mixer(t[0], t[1], branch_of(t, 0), branch_of(t, 1), t[kOutProj],
                                   /*average=*/true, /*recompute=*/false)};
}

std::vector<std::string> mixer_arguments() {
  std::vector<std::string> names = {"tokens", "in_proj"};
  for (const std::string suffix : {"", "_b"}) {
    for (const char* name :
         {"conv_weight", "conv_bias", "x_proj", "dt_proj", "delta_bias", "A_log", "D"}) {
      names.push_back(name + suffix);
    }
  }
  names.emplace_back("out_proj");
  return names;
}

}  // namespace

std::vector<OpCase> op_cases() {
  return {{"scan", {"u", "delta", "A", "B", "C", "D", "z", "delta_bias"}, make_scan, scan, scan},
          {"convolution", {"x", "weight", "bias"}, make_convolution, convolution, convolution},
          {"norm", {"x", "residual", "weight"}, make_norm, norm, norm},
          {"mixer", mixer_arguments(), make_mixer, mixer, mixer_by_parts}};
}

}  // namespace vim::train
