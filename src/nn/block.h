// A Vim block: add, normalise, mix. Two streams run through the network: `hidden`, what the last
// mixer made, and `residual`, the sum of all before it.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "nn/mamba_mixer.h"
#include "vim/nn/config.h"

namespace vim::nn {

struct Streams {
  at::Tensor hidden;    // [batch, length, embed_dim]
  at::Tensor residual;  // the same shape; undefined before the first block
};

// RMSNorm (no bias) or LayerNorm of the sum of both streams; eps 1e-5.
class AddNorm : public torch::nn::Module {
 public:
  explicit AddNorm(const ModelConfig& config);

  // The normalised sum in `hidden`, the sum itself in `residual`.
  Streams forward(const Streams& in);

 private:
  Norm kind_;
  at::Tensor weight_;
  at::Tensor bias_;  // LayerNorm only
};

// Stochastic depth: drops whole samples of the block's output with probability `rate` and scales
// the others by 1 / (1 - rate); nothing outside of training.
at::Tensor drop_path(const at::Tensor& hidden, double rate, bool training);

class Block : public torch::nn::Module {
 public:
  explicit Block(const ModelConfig& config);

  // Lets go of what comes in as soon as it is added: without a graph nobody else holds it.
  Streams forward(Streams streams, bool backwards);

 private:
  std::shared_ptr<MambaMixer> mixer_;
  std::shared_ptr<AddNorm> norm_;
};

}  // namespace vim::nn
