// Pillow's approximation (src/libImaging/BoxBlur.c): three box blurs along rows, then three along
// columns, each rounded to bytes; a box has a fractional width, its outermost pixels a smaller
// weight. Weights have 24 fractional bits.
#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <vector>

#include "data/clones.h"
#include "data/color_ops.h"

namespace vim::data {
namespace {

constexpr int kPasses = 3;

struct Box {
  int radius;
  uint32_t inner, outer;  // weights
};

// The box whose repetition has the variance of a Gaussian (Gwosdek et al., "Theoretical foundations
// of Gaussian convolution by extended box filtering", 2011). In Pillow's single precision.
Box box_for(double radius) {
  const auto r = static_cast<float>(radius);
  const float sigma2 = r * r / kPasses;
  const auto length = static_cast<float>(std::sqrt(12.0 * sigma2 + 1.0));
  const auto whole = static_cast<float>(std::floor((length - 1.0) / 2.0));
  auto part = static_cast<float>((2 * whole + 1) * (whole * (whole + 1) - 3.0 * sigma2));
  part = static_cast<float>(part / (6.0 * (sigma2 - (whole + 1) * (whole + 1))));
  const float wanted = whole + part;
  const auto n = static_cast<int>(wanted);
  const auto inner = static_cast<uint32_t>(static_cast<float>(1 << 24) / (wanted * 2 + 1));
  const uint32_t outer = ((1U << 24) - static_cast<uint32_t>(n * 2 + 1) * inner) / 2;
  return {n, inner, outer};
}

// One pass over `lines` elements side by side: element k of position i stands at i * lines + k.
// Beyond an end its last value goes on.
VIM_CLONES void blur(const uint8_t* in, int count, int lines, const Box& box, uint32_t* sums,
                     uint8_t* out) {
  const auto at = [&](int i) {
    return in + static_cast<ptrdiff_t>(lines) * std::clamp(i, 0, count - 1);
  };
  std::fill_n(sums, lines, 0);
  for (int i = -box.radius - 1; i < box.radius; ++i) {
    const uint8_t* row = at(i);
    for (int k = 0; k < lines; ++k) sums[k] += row[k];
  }
  for (int i = 0; i < count; ++i, out += lines) {
    const uint8_t* gone = at(i - box.radius - 1);
    const uint8_t* last = at(i + box.radius);
    const uint8_t* next = at(i + box.radius + 1);
    for (int k = 0; k < lines; ++k) {
      sums[k] += static_cast<uint32_t>(last[k]) - gone[k];
      const uint32_t value =
          sums[k] * box.inner + static_cast<uint32_t>(gone[k] + next[k]) * box.outer;
      out[k] = static_cast<uint8_t>((value + (1U << 23)) >> 24);
    }
  }
}

// All passes along one line of pixels or, with many lines, along columns.
void blur_passes(uint8_t* values, int count, int lines, const Box& box) {
  std::vector<uint8_t> other(static_cast<size_t>(count) * lines);
  std::vector<uint32_t> sums(lines);
  uint8_t* from = values;
  uint8_t* to = other.data();
  for (int pass = 0; pass < kPasses; ++pass) {
    blur(from, count, lines, box, sums.data(), to);
    std::swap(from, to);
  }
  if (from != values) std::copy_n(from, other.size(), values);
}

}  // namespace

cv::Mat gaussian_blur(const cv::Mat& image, double radius) {
  const Box box = box_for(radius);
  // Rows as columns, so that both directions run along contiguous lines.
  cv::Mat turned;
  cv::transpose(image, turned);
  blur_passes(turned.data, turned.rows, turned.cols * turned.channels(), box);
  cv::Mat out;
  cv::transpose(turned, out);
  blur_passes(out.data, out.rows, out.cols * out.channels(), box);
  return out;
}

}  // namespace vim::data
