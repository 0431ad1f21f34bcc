#include "nn/patch_embed.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

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
  // A product over the patches laid out as rows: a convolution with so few channels, and the
  // gradient of its weight above all, is slow on a GPU.
  const int64_t patch = config_.patch_size, stride = config_.patch_stride();
  const at::Tensor windows =
      images.unfold(2, patch, stride).unfold(3, patch, stride).permute({0, 2, 3, 1, 4, 5});
  const at::DeviceType device = images.device().type();
  const auto options = at::autocast::is_autocast_enabled(device)
                           ? images.options().dtype(at::autocast::get_autocast_dtype(device))
                           : images.options();
  const at::Tensor rows = at::empty(windows.sizes(), options).copy_(windows);
  return at::linear(rows.flatten(3).flatten(1, 2), projection_->weight.flatten(1),
                    projection_->bias);
}

}  // namespace vim::nn
