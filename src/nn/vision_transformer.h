// The vision transformer (arXiv 2010.11929) as DeiT (arXiv 2012.12877) trains it: what Vim is
// measured against.
#pragma once

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <memory>
#include <vector>

#include "nn/patch_embed.h"
#include "vim/nn/model.h"

namespace vim::nn {

class TransformerBlock;

// Parameters are named as in timm. Of the configuration it reads image_size, in_channels,
// patch_size, stride, embed_dim, depth, num_classes, drop_rate, drop_path_rate and vit.
class VisionTransformer : public Classifier {
 public:
  explicit VisionTransformer(const ModelConfig& config);

  at::Tensor features(const at::Tensor& images) override;
  at::Tensor classify(const at::Tensor& features) override;

 private:
  ModelConfig config_;
  at::Tensor class_token_;  // [1, 1, embed_dim]
  at::Tensor pos_embed_;    // [1, 1 + patches, embed_dim]
  std::shared_ptr<PatchEmbed> patch_embed_;
  std::vector<std::shared_ptr<TransformerBlock>> blocks_;
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear head_{nullptr};
};

}  // namespace vim::nn
