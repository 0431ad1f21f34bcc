#include "nn/mamba_mixer.h"

#include <ATen/ATen.h>

#include <cmath>

#include "nn/init.h"
#include "vim/ops/ops.h"

namespace vim::nn {

using torch::nn::Linear;
using torch::nn::LinearOptions;

// Parameters are registered in the official order, which is the index order of a saved optimiser
// state.
MambaMixer::MambaMixer(const ModelConfig& config) : config_(config) {
  const int64_t inner = config.inner_dim();
  const bool full = config.direction == Direction::kFull;
  if (config.layer_scale > 0) {
    gamma_ = register_parameter("gamma", at::full({config.embed_dim}, config.layer_scale));
  }
  register_states(forward_, "A_log", "D");
  if (full) register_states(backward_, "A_b_log", "D_b");
  if (config.direction == Direction::kShared) {
    backward_.A_log = register_parameter("A_b_log", initial_A_log(inner, config.state_dim));
    backward_.D = forward_.D;
  }

  in_proj_ =
      register_module("in_proj", Linear(LinearOptions(config.embed_dim, 2 * inner).bias(false)));
  Branch weights = make_branch("", /*inverse_softplus_bias=*/true);
  forward_.conv1d = weights.conv1d;
  forward_.x_proj = weights.x_proj;
  forward_.dt_proj = weights.dt_proj;
  if (full) weights = make_branch("_b", !config.quirks.zero_dt_proj_b_bias);
  backward_.conv1d = weights.conv1d;
  backward_.x_proj = weights.x_proj;
  backward_.dt_proj = weights.dt_proj;

  out_proj_ =
      register_module("out_proj", Linear(LinearOptions(inner, config.embed_dim).bias(false)));
  const at::NoGradGuard no_grad;
  out_proj_->weight.div_(std::sqrt(static_cast<double>(config.depth)));
}

void MambaMixer::register_states(Branch& branch, const char* A_name, const char* D_name) {
  branch.A_log = register_parameter(A_name, initial_A_log(config_.inner_dim(), config_.state_dim));
  branch.D = register_parameter(D_name, at::ones({config_.inner_dim()}));
}

MambaMixer::Branch MambaMixer::make_branch(const std::string& suffix, bool inverse_softplus_bias) {
  const int64_t inner = config_.inner_dim(), rank = config_.delta_rank();
  Branch branch;
  branch.conv1d = register_module(
      "conv1d" + suffix,
      torch::nn::Conv1d(torch::nn::Conv1dOptions(inner, inner, config_.conv_kernel).groups(inner)));
  branch.x_proj = register_module(
      "x_proj" + suffix, Linear(LinearOptions(inner, rank + 2 * config_.state_dim).bias(false)));
  branch.dt_proj = register_module("dt_proj" + suffix, Linear(LinearOptions(rank, inner)));
  const at::NoGradGuard no_grad;
  if (inverse_softplus_bias) {
    initialize_delta_bias(branch.dt_proj->bias);
  } else {
    branch.dt_proj->bias.zero_();
  }
  return branch;
}

MambaMixer::ScanInput MambaMixer::prepare(const Branch& branch, const at::Tensor& x,
                                          bool reverse) const {
  ScanInput in;
  in.u = ops::causal_conv1d(x, branch.conv1d->weight.squeeze(1), branch.conv1d->bias, /*silu=*/true,
                            reverse);
  const int64_t rank = config_.delta_rank(), states = config_.state_dim;
  const auto parts =
      at::linear(in.u, branch.x_proj->weight).split_with_sizes({rank, states, states}, -1);
  in.delta = at::linear(parts[0], branch.dt_proj->weight);  // the bias is added inside the scan
  in.B = parts[1];
  in.C = parts[2];
  return in;
}

at::Tensor MambaMixer::scan(const Branch& branch, const ScanInput& in, const at::Tensor& z,
                            bool reverse) const {
  return ops::selective_scan(in.u, in.delta, -branch.A_log.exp(), in.B, in.C, branch.D, z,
                             branch.dt_proj->bias, /*delta_softplus=*/true, reverse);
}

// The same numbers as `unfused` has for the published models' direction, without what a GPU would
// lose between small operators.
at::Tensor MambaMixer::fused(const at::Tensor& tokens) const {
  const auto tensors = [](const Branch& branch) {
    return ops::MixerBranch{branch.conv1d->weight.squeeze(1),
                            branch.conv1d->bias,
                            branch.x_proj->weight,
                            branch.dt_proj->weight,
                            branch.dt_proj->bias,
                            branch.A_log,
                            branch.D};
  };
  return ops::bidirectional_mixer(tokens, in_proj_->weight, tensors(forward_), tensors(backward_),
                                  out_proj_->weight, config_.divide_out, config_.recompute);
}

at::Tensor MambaMixer::unfused(const at::Tensor& tokens, bool backwards) {
  const auto halves = in_proj_->forward(tokens).chunk(2, -1);
  const at::Tensor &x = halves[0], &z = halves[1];

  const ScanInput in = prepare(forward_, x, backwards);
  at::Tensor mixed = scan(forward_, in, z, backwards);
  if (config_.direction == Direction::kShared) {
    const at::Tensor gate = config_.quirks.v1_official_grad ? z.detach() : z;
    mixed = mixed + scan(backward_, in, gate, !backwards);
  } else if (config_.direction == Direction::kFull) {
    mixed = mixed + scan(backward_, prepare(backward_, x, !backwards), z, !backwards);
    if (config_.divide_out) mixed = mixed / 2;
  }
  return out_proj_->forward(mixed);
}

at::Tensor MambaMixer::forward(const at::Tensor& tokens, bool backwards) {
  const bool fusible = config_.direction == Direction::kFull && !backwards && tokens.is_cuda();
  const at::Tensor out = fusible ? fused(tokens) : unfused(tokens, backwards);
  return gamma_.defined() ? out * gamma_ : out;
}

}  // namespace vim::nn
