#include "vim/data/normalize.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <vector>

#include "data/clones.h"

namespace vim::data {
namespace {

// One image from pixels to planes, (value - shift) * scale.
template <int kChannels>
[[gnu::always_inline]] inline void to_planes(const uint8_t* in, int64_t pixels, const float* shift,
                                             const float* scale, float* out) {
  for (int c = 0; c < kChannels; ++c) {
    const float minus = shift[c], times = scale[c];
    float* plane = out + c * pixels;
    for (int64_t i = 0; i < pixels; ++i) {
      plane[i] = (static_cast<float>(in[kChannels * i + c]) - minus) * times;
    }
  }
}

VIM_CLONES void color_planes(const uint8_t* in, int64_t pixels, const float* shift,
                             const float* scale, float* out) {
  to_planes<3>(in, pixels, shift, scale, out);
}

VIM_CLONES void grey_plane(const uint8_t* in, int64_t pixels, const float* shift,
                           const float* scale, float* out) {
  to_planes<1>(in, pixels, shift, scale, out);
}

// The same numbers as ATen's operations give, in one pass.
at::Tensor normalize_on_cpu(const at::Tensor& images, const std::vector<float>& shift,
                            const std::vector<float>& scale) {
  const at::Tensor in = images.contiguous();
  const int64_t channels = in.size(3), pixels = in.size(1) * in.size(2);
  at::Tensor out = at::empty({in.size(0), channels, in.size(1), in.size(2)}, at::kFloat);
  const uint8_t* from = in.const_data_ptr<uint8_t>();
  float* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, in.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * channels * pixels; i < end * channels * pixels;
         i += channels * pixels) {
      (channels == 3 ? color_planes : grey_plane)(from + i, pixels, shift.data(), scale.data(),
                                                  to + i);
    }
  });
  return out;
}

}  // namespace

at::Tensor normalize(const at::Tensor& images, std::span<const double> mean,
                     std::span<const double> std, at::Device device) {
  const auto channels = static_cast<int64_t>(mean.size());
  TORCH_CHECK(images.dim() == 4 && images.scalar_type() == at::kByte &&
                  images.size(3) == channels && (channels == 1 || channels == 3),
              "normalize: wants bytes [batch, height, width, ", channels, "], 1 or 3 channels");
  std::vector<float> shift, scale;
  for (int64_t c = 0; c < channels; ++c) {
    shift.push_back(static_cast<float>(255 * mean[c]));
    scale.push_back(static_cast<float>(1 / (255 * std[c])));
  }
  if (device.is_cpu() && images.is_cpu()) return normalize_on_cpu(images, shift, scale);
  at::Tensor out =
      images.to(device, /*non_blocking=*/true)
          .permute({0, 3, 1, 2})
          .to(at::kFloat, /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::Contiguous);
  for (int64_t c = 0; c < channels; ++c) out.select(1, c).sub_(shift[c]).mul_(scale[c]);
  return out;
}

}  // namespace vim::data
