// Vision Mamba (arXiv 2401.09417; official models_mamba.py).
#pragma once

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>

#include <vector>

#include "nn/block.h"
#include "nn/patch_embed.h"
#include "nn/rotary.h"
#include "vim/nn/model.h"

namespace vim::nn {

class VisionMamba : public Classifier {
 public:
  explicit VisionMamba(const ModelConfig& config);

  at::Tensor features(const at::Tensor& images) override;
  at::Tensor classify(const at::Tensor& features) override;

 private:
  // The token sequence and where the class tokens stand in it, in ascending order.
  struct Sequence {
    at::Tensor tokens;  // [batch, length, embed_dim]
    std::vector<int64_t> class_positions;
  };

  std::vector<int64_t> draw_class_positions() const;
  Sequence embed(const at::Tensor& images);
  at::Tensor run_blocks(at::Tensor tokens, const std::vector<int64_t>& class_positions);
  void turn(Streams& streams, const std::vector<int64_t>& class_positions) const;
  void initialize();

  ModelConfig config_;
  std::vector<at::Tensor> class_tokens_;  // each [1, 1, embed_dim]
  at::Tensor pos_embed_;                  // [1, tokens, embed_dim]
  std::shared_ptr<PatchEmbed> patch_embed_;
  torch::nn::Linear head_{nullptr};
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<AddNorm> norm_f_;
  RotaryTable rotary_;
};

}  // namespace vim::nn
