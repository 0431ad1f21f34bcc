#include "vim/data/normalize.h"

#include <ATen/Functions.h>

#include <vector>

namespace vim::data {

at::Tensor normalize(const at::Tensor& images, std::span<const double> mean,
                     std::span<const double> std, at::Device device) {
  const auto channels = static_cast<int64_t>(mean.size());
  TORCH_CHECK(images.dim() == 4 && images.scalar_type() == at::kByte && images.size(3) == channels,
              "normalize: wants bytes [batch, height, width, ", channels, "]");
  at::Tensor out =
      images.to(device, /*non_blocking=*/true)
          .permute({0, 3, 1, 2})
          .to(at::kFloat, /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::Contiguous);
  for (int64_t c = 0; c < channels; ++c) {
    out.select(1, c).sub_(255 * mean[c]).mul_(1 / (255 * std[c]));
  }
  return out;
}

}  // namespace vim::data
