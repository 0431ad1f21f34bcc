#include "nn/block.h"

#include <ATen/ATen.h>

#include "vim/ops/ops.h"

namespace vim::nn {
namespace {
constexpr double kNormEpsilon = 1e-5;
}

AddNorm::AddNorm(const ModelConfig& config) : kind_(config.norm) {
  weight_ = register_parameter("weight", at::ones({config.embed_dim}));
  if (kind_ == Norm::kLayer) bias_ = register_parameter("bias", at::zeros({config.embed_dim}));
}

Streams AddNorm::forward(const Streams& in) {
  if (kind_ == Norm::kRms) {
    auto [normed, sum] = ops::add_rms_norm(in.hidden, in.residual, weight_, kNormEpsilon);
    return {normed, sum};
  }
  const at::Tensor sum = in.residual.defined() ? in.residual + in.hidden : in.hidden;
  return {at::layer_norm(sum, weight_.sizes(), weight_, bias_, kNormEpsilon), sum};
}

at::Tensor drop_path(const at::Tensor& hidden, double rate, bool training) {
  if (!training || rate == 0) return hidden;
  const double keep = 1 - rate;
  return hidden * at::empty({hidden.size(0), 1, 1}, hidden.options()).bernoulli_(keep).div_(keep);
}

Block::Block(const ModelConfig& config)
    : mixer_(register_module("mixer", std::make_shared<MambaMixer>(config))),
      norm_(register_module("norm", std::make_shared<AddNorm>(config))) {}

Streams Block::forward(Streams streams, bool backwards) {
  streams = norm_->forward(streams);
  streams.hidden = mixer_->forward(streams.hidden, backwards);
  return streams;
}

}  // namespace vim::nn
