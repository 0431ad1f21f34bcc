// The bidirectional Mamba mixer (paper, section 3.3 and algorithm 1).
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <memory>

#include "vim/nn/config.h"

namespace vim::nn {

// Tokens [batch, length, embed_dim] to tokens of the same shape. Parameters are named as in the
// official mamba_simple.py; a name with `_b` belongs to the backward branch.
class MambaMixer : public torch::nn::Module {
 public:
  explicit MambaMixer(const ModelConfig& config);

  // `backwards` turns the whole mixer around, as if the sequence were flipped before and after it.
  at::Tensor forward(const at::Tensor& tokens, bool backwards);

 private:
  // One direction's weights. With direction: shared, both branches hold the same convolution and
  // projections.
  struct Branch {
    torch::nn::Conv1d conv1d{nullptr};
    torch::nn::Linear x_proj{nullptr};
    torch::nn::Linear dt_proj{nullptr};
    at::Tensor A_log;  // [inner_dim, state_dim]
    at::Tensor D;      // [inner_dim]
  };
  // What the scan reads, from the convolved input.
  struct ScanInput {
    at::Tensor u, delta;  // [batch, length, inner_dim]
    at::Tensor B, C;      // [batch, length, state_dim]
  };

  Branch make_branch(const std::string& suffix, bool inverse_softplus_bias);
  void register_states(Branch& branch, const char* A_name, const char* D_name);
  at::Tensor fused(const at::Tensor& tokens) const;
  at::Tensor unfused(const at::Tensor& tokens, bool backwards);
  ScanInput prepare(const Branch& branch, const at::Tensor& x, bool reverse) const;
  at::Tensor scan(const Branch& branch, const ScanInput& in, const at::Tensor& z,
                  bool reverse) const;

  ModelConfig config_;
  torch::nn::Linear in_proj_{nullptr};
  Branch forward_;
  Branch backward_;
  torch::nn::Linear out_proj_{nullptr};
  at::Tensor gamma_;  // [embed_dim], undefined without layer scale
};

}  // namespace vim::nn
