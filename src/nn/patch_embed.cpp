#include "nn/patch_embed.h"

#include <ATen/ATen.h>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::nn {

using torch::nn::Conv2d;
using torch::nn::Conv2dOptions;

PatchEmbed::PatchEmbed(const ModelConfig& config) : config_(config) {
  projection_ = register_module(
      "proj", Conv2d(Conv2dOptions(config.in_channels, config.embed_dim, config.patch_size)
                         .stride(config.patch_stride())));
}

at::Tensor PatchEmbed::forward(const at::Tensor& images) {
  const ImageSize& size = config_.image_size;
  if (images.dim() != 4 || images.size(1) != config_.in_channels || images.size(2) != size.height ||
      images.size(3) != size.width) {
    throw Error(concat("the model takes images [batch, ", config_.in_channels, ", ", size.height,
                       ", ", size.width, "], got ", images.sizes(),
                       "; change model.image_size or model.in_channels, or the images"));
  }
  return projection_->forward(images).flatten(2).transpose(1, 2);
}

}  // namespace vim::nn
