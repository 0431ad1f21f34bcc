// Two passes, along rows and along columns, in Pillow's fixed point
// (src/libImaging/Resample.c): weights have 22 fractional bits, and the image between the passes 8
// bits a channel.
#include "data/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "data/clones.h"
#include "vim/core/error.h"

namespace vim::data {
namespace {

constexpr int kFractionBits = 22;
constexpr int32_t kHalf = 1 << (kFractionBits - 1);

double sinc(double x) {
  if (x == 0) return 1;
  return std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
}

// Keys, "Cubic convolution interpolation", 1981, with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double weight(Filter filter, double x) {
  switch (filter) {
    case Filter::kBox:
      return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Filter::kBilinear:
      return std::max(0.0, 1 - std::abs(x));
    case Filter::kBicubic:
      return cubic(x);
    case Filter::kLanczos:
      return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    case Filter::kNearest:
      break;
  }
  VIM_CHECK(false);
  return 0;
}

double support(Filter filter) {
  constexpr std::array<double, 5> kSupport = {0, 0.5, 1, 2, 3};  // in the order of Filter
  return kSupport[static_cast<size_t>(filter)];
}

// What each output position reads: `count` inputs from `first` on, with weights that sum to one.
struct Taps {
  struct Range {
    int first, count;
  };
  Taps(int in, int out, Filter filter);
  const int32_t* weights(int i) const { return weights_.data() + i * stride_; }

  std::vector<Range> ranges;

 private:
  int stride_;
  std::vector<int32_t> weights_;
};

Taps::Taps(int in, int out, Filter filter) : ranges(out) {
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);
  const double radius = support(filter) * stretch;
  stride_ = static_cast<int>(std::ceil(radius)) * 2 + 1;
  weights_.resize(static_cast<size_t>(stride_) * out);
  std::vector<double> exact(stride_);
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - radius + 0.5));
    const int count = std::min(in, static_cast<int>(center + radius + 0.5)) - first;
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      exact[k] = weight(filter, (first + k - center + 0.5) / stretch);
      sum += exact[k];
    }
    ranges[i] = {first, count};
    for (int k = 0; k < count; ++k) {
      const double fixed = (sum == 0 ? exact[k] : exact[k] / sum) * (1 << kFractionBits);
      weights_[static_cast<size_t>(stride_) * i + k] = static_cast<int32_t>(std::round(fixed));
    }
  }
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

// Rows are summed eight values at a time: two rows of red, green, blue and one to spare, or eight
// grey rows.
constexpr int kLanes = 8;
using Lanes = int32_t __attribute__((vector_size(kLanes * 4)));
using RgbLanes = int32_t __attribute__((vector_size(16)));

// Moving four bytes for a pixel's three is one instruction. The fourth is the next pixel's, or
// about to be overwritten by it; the last pixel has none.
VIM_CLONES void unpack_rgb(const uint8_t* in, int width, int32_t* out) {
  for (int x = 0; x < width - 1; ++x) {
    int32_t word;
    std::memcpy(&word, in + 3 * x, 4);
    const RgbLanes pixel = ((RgbLanes{} + word) >> RgbLanes{0, 8, 16, 24}) & 255;
    std::memcpy(out + kLanes * x, &pixel, sizeof pixel);
  }
  for (int c = 0; c < 3; ++c) out[kLanes * (width - 1) + c] = in[3 * (width - 1) + c];
}

void pack_rgb(const uint8_t* in, int width, uint8_t* out) {
  for (int x = 0; x < width - 1; ++x) std::memcpy(out + 3 * x, in + kLanes * x, 4);
  std::memcpy(out + 3 * (width - 1), in + kLanes * (width - 1), 3);
}

VIM_CLONES void sum_taps(const int32_t* in, const Taps& taps, int32_t* sums, uint8_t* out) {
  const auto width = static_cast<int>(taps.ranges.size());
  for (int x = 0; x < width; ++x) {
    const auto [first, count] = taps.ranges[x];
    const int32_t* weights = taps.weights(x);
    Lanes sum = Lanes{} + kHalf;
    for (int k = 0; k < count; ++k) {
      Lanes pixel;
      std::memcpy(&pixel, in + kLanes * (first + k), sizeof pixel);
      sum += pixel * weights[k];
    }
    std::memcpy(sums + kLanes * x, &sum, sizeof sum);
  }
  for (int i = 0; i < kLanes * width; ++i) out[i] = to_byte(sums[i]);
}

// Fills and empties the lanes; rows after the last are computed from what is there, and not used.
class RowPass {
 public:
  RowPass(const cv::Mat& in, cv::Mat& out)
      : in_(in),
        out_(out),
        unpacked_(size_t{kLanes} * in.cols),
        sums_(size_t{kLanes} * out.cols),
        packed_(size_t{kLanes} * out.cols) {}

  void run(const Taps& taps) {
    const int rows = in_.channels() == 3 ? 2 : kLanes;
    for (int y = 0; y < in_.rows; y += rows) {
      const int count = std::min(rows, in_.rows - y);
      for (int i = 0; i < count; ++i) unpack(in_.ptr(y + i), i);
      sum_taps(unpacked_.data(), taps, sums_.data(), packed_.data());
      for (int i = 0; i < count; ++i) pack(i, out_.ptr(y + i));
    }
  }

 private:
  void unpack(const uint8_t* row, int i) {
    if (in_.channels() == 3) return unpack_rgb(row, in_.cols, unpacked_.data() + 4 * i);
    for (int x = 0; x < in_.cols; ++x) unpacked_[size_t{kLanes} * x + i] = row[x];
  }
  void pack(int i, uint8_t* row) const {
    if (in_.channels() == 3) return pack_rgb(packed_.data() + 4 * i, out_.cols, row);
    for (int x = 0; x < out_.cols; ++x) row[x] = packed_[size_t{kLanes} * x + i];
  }

  const cv::Mat& in_;
  cv::Mat& out_;
  std::vector<int32_t> unpacked_, sums_;
  std::vector<uint8_t> packed_;
};

// One output row from `count` input rows, `stride` bytes apart. In blocks whose sums stay in
// registers.
VIM_CLONES void combine_rows(const uint8_t* in, size_t stride, const int32_t* weights, int count,
                             int bytes, uint8_t* out) {
  constexpr int kBlock = 64;
  for (int begin = 0; begin < bytes; begin += kBlock) {
    const int length = std::min(kBlock, bytes - begin);
    int32_t sums[kBlock];
    std::fill_n(sums, kBlock, kHalf);
    for (int k = 0; k < count; ++k) {
      const uint8_t* row = in + k * stride + begin;
      const int32_t w = weights[k];
      if (length == kBlock) {
        for (int i = 0; i < kBlock; ++i) sums[i] += row[i] * w;
      } else {
        for (int i = 0; i < length; ++i) sums[i] += row[i] * w;
      }
    }
    for (int i = 0; i < length; ++i) out[begin + i] = to_byte(sums[i]);
  }
}

cv::Mat resize_width(const cv::Mat& image, int width, Filter filter) {
  const Taps taps(image.cols, width, filter);
  cv::Mat out(image.rows, width, image.type());
  RowPass(image, out).run(taps);
  return out;
}

cv::Mat resize_height(const cv::Mat& image, int height, Filter filter) {
  const Taps taps(image.rows, height, filter);
  cv::Mat out(height, image.cols, image.type());
  const int bytes = image.cols * image.channels();
  for (int y = 0; y < height; ++y) {
    const auto [first, count] = taps.ranges[y];
    combine_rows(image.ptr(first), image.step, taps.weights(y), count, bytes, out.ptr(y));
  }
  return out;
}

// The input of each output position; step by step as Pillow adds them up, since rounding decides
// between two inputs that are as near.
std::vector<size_t> nearest(int in, int out) {
  std::vector<size_t> from(out);
  const double step = static_cast<double>(in) / out;
  double at = step / 2;
  for (size_t& position : from) {
    position = static_cast<size_t>(at);
    at += step;
  }
  return from;
}

cv::Mat resize_nearest(const cv::Mat& image, cv::Size size) {
  cv::Mat out(size, image.type());
  const size_t pixel = image.elemSize();
  const std::vector<size_t> columns = nearest(image.cols, size.width);
  const std::vector<size_t> rows = nearest(image.rows, size.height);
  for (int y = 0; y < size.height; ++y) {
    const uint8_t* in = image.ptr(static_cast<int>(rows[y]));
    uint8_t* to = out.ptr(y);
    for (const size_t from : columns) {
      std::memcpy(to, in + from * pixel, pixel);
      to += pixel;
    }
  }
  return out;
}

// Pillow 13's choice. It shows where the image between the passes is rounded and cut off.
bool columns_first(cv::Size from, cv::Size to) {
  const int64_t lost_rows = int64_t{from.height} - to.height;
  return lost_rows > 0 && lost_rows > 2 * (int64_t{from.width} - to.width);
}

}  // namespace

cv::Mat resize(const cv::Mat& image, cv::Size size, Filter filter) {
  VIM_CHECK(image.type() == CV_8UC3 || image.type() == CV_8UC1);
  VIM_CHECK(!image.empty() && size.width > 0 && size.height > 0);
  if (image.size() == size) return image;
  if (filter == Filter::kNearest) return resize_nearest(image, size);
  cv::Mat out = image;
  if (columns_first(image.size(), size)) out = resize_height(out, size.height, filter);
  if (size.width != out.cols) out = resize_width(out, size.width, filter);
  if (size.height != out.rows) out = resize_height(out, size.height, filter);
  return out;
}

}  // namespace vim::data
