// Images to tokens: a convolution whose stride is the distance between patches.
#pragma once

#include <torch/nn/modules/conv.h>

#include "vim/nn/config.h"

namespace vim::nn {

// Parameters proj.weight [embed_dim, in_channels, patch, patch] and proj.bias.
class PatchEmbed : public torch::nn::Module {
 public:
  explicit PatchEmbed(const ModelConfig& config);

  // images [batch, in_channels, height, width] to [batch, patches, embed_dim], rows of patches
  // first. Throws Error where the images are not those of the configuration.
  at::Tensor forward(const at::Tensor& images);

  torch::nn::Conv2d& projection() { return projection_; }

 private:
  ModelConfig config_;
  torch::nn::Conv2d projection_{nullptr};
};

}  // namespace vim::nn
