#include "data/color_ops.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "data/clones.h"
#include "vim/core/error.h"
#include "vim/data/image.h"

namespace vim::data {
namespace {

using Table = std::array<uint8_t, 256>;
using Histogram = std::array<int64_t, 256>;

uint8_t clipped(double value) {
  return static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
}

template <class Value>
Table table(Value value) {
  Table result;
  for (int i = 0; i < 256; ++i) result[i] = clipped(value(i));
  return result;
}

int row_bytes(const cv::Mat& image) {
  return image.cols * image.channels();
}

cv::Mat looked_up(const cv::Mat& image, const Table& values) {
  cv::Mat out(image.size(), image.type());
  for (int y = 0; y < image.rows; ++y) {
    const uint8_t* in = image.ptr(y);
    uint8_t* to = out.ptr(y);
    for (int i = 0; i < row_bytes(image); ++i) to[i] = values[in[i]];
  }
  return out;
}

template <int kChannels>
cv::Mat looked_up_by_channel(const cv::Mat& image, const Table* tables) {
  cv::Mat out(image.size(), image.type());
  for (int y = 0; y < image.rows; ++y) {
    const uint8_t* in = image.ptr(y);
    uint8_t* to = out.ptr(y);
    for (int x = 0; x < image.cols; ++x, in += kChannels, to += kChannels) {
      for (int c = 0; c < kChannels; ++c) to[c] = tables[c][in[c]];
    }
  }
  return out;
}

// `table_of` makes each channel's table of its histogram.
template <int kChannels, class TableOf>
cv::Mat by_histogram(const cv::Mat& image, TableOf table_of) {
  // Two of each, used in turn: equal neighbours would wait for each other's count.
  std::array<std::array<std::array<int32_t, 256>, 2>, kChannels> counts{};
  for (int y = 0; y < image.rows; ++y) {
    const uint8_t* in = image.ptr(y);
    for (int x = 0; x < image.cols; ++x, in += kChannels) {
      for (int c = 0; c < kChannels; ++c) ++counts[c][x & 1][in[c]];
    }
  }
  std::array<Table, kChannels> tables;
  for (int c = 0; c < kChannels; ++c) {
    Histogram histogram;
    for (int i = 0; i < 256; ++i) histogram[i] = int64_t{counts[c][0][i]} + counts[c][1][i];
    tables[c] = table_of(histogram);
  }
  return looked_up_by_channel<kChannels>(image, tables.data());
}

template <class TableOf>
cv::Mat by_histogram(const cv::Mat& image, TableOf table_of) {
  VIM_CHECK(image.type() == CV_8UC3 || image.type() == CV_8UC1);
  return image.channels() == 3 ? by_histogram<3>(image, table_of)
                               : by_histogram<1>(image, table_of);
}

double identity(int i) {
  return i;
}

Table stretching(const Histogram& histogram) {
  const auto is_used = [](int64_t count) { return count > 0; };
  const auto low = std::ranges::find_if(histogram, is_used) - histogram.begin();
  const auto high =
      255 - (std::find_if(histogram.rbegin(), histogram.rend(), is_used) - histogram.rbegin());
  if (high <= low) return table(identity);
  const double scale = 255.0 / static_cast<double>(high - low);
  const double offset = static_cast<double>(-low) * scale;
  return table([&](int i) { return i * scale + offset; });
}

Table equalizing(const Histogram& histogram) {
  const auto last =
      std::find_if(histogram.rbegin(), histogram.rend(), [](auto n) { return n > 0; });
  const int64_t total = std::accumulate(histogram.begin(), histogram.end(), int64_t{0});
  const int64_t step = (total - *last) / 255;
  if (step == 0) return table(identity);
  int64_t sum = step / 2;
  return table(
      [&](int i) { return static_cast<double>(std::exchange(sum, sum + histogram[i]) / step); });
}

// From `from` (factor 0) through `image` (factor 1), cut off to a whole number.
VIM_CLONES void blend_row(const uint8_t* from, const uint8_t* image, float factor, int count,
                          uint8_t* out) {
  for (int i = 0; i < count; ++i) {
    const int start = from[i];
    const float value = static_cast<float>(start) + factor * static_cast<float>(image[i] - start);
    out[i] = static_cast<uint8_t>(std::clamp(value, 0.0F, 255.0F));
  }
}

cv::Mat blend(const cv::Mat& from, const cv::Mat& image, double factor) {
  cv::Mat out(image.size(), image.type());
  for (int y = 0; y < image.rows; ++y) {
    blend_row(from.ptr(y), image.ptr(y), static_cast<float>(factor), row_bytes(image), out.ptr(y));
  }
  return out;
}

// The same from one value everywhere.
cv::Mat blend(int from, const cv::Mat& image, double factor) {
  Table start, values, out;
  start.fill(static_cast<uint8_t>(from));
  std::iota(values.begin(), values.end(), 0);
  blend_row(start.data(), values.data(), static_cast<float>(factor), 256, out.data());
  return looked_up(image, out);
}

// The mean of each pixel and its eight neighbours, with five parts of thirteen for itself.
VIM_CLONES void smooth_row(const uint8_t* above, const uint8_t* row, const uint8_t* below,
                           int begin, int end, int step, uint8_t* out) {
  for (int i = begin; i < end; ++i) {
    const int sum = above[i - step] + above[i] + above[i + step] + row[i - step] + 5 * row[i] +
                    row[i + step] + below[i - step] + below[i] + below[i + step];
    out[i] = static_cast<uint8_t>((sum + 6) / 13);
  }
}

// The outermost pixels stay.
cv::Mat smooth(const cv::Mat& image) {
  cv::Mat out = image.clone();
  const int step = image.channels();
  for (int y = 1; y + 1 < image.rows; ++y) {
    smooth_row(image.ptr(y - 1), image.ptr(y), image.ptr(y + 1), step, row_bytes(image) - step,
               step, out.ptr(y));
  }
  return out;
}

// Pillow's hexagon: hue and saturation are cut off to bytes on the way.
cv::Vec3b to_hsv(const cv::Vec3b& rgb) {
  const int high = std::max({rgb[0], rgb[1], rgb[2]}), low = std::min({rgb[0], rgb[1], rgb[2]});
  if (high == low) return {0, 0, static_cast<uint8_t>(high)};
  const auto range = static_cast<float>(high - low);
  const auto distance = [&](int c) { return static_cast<float>(high - rgb[c]) / range; };
  const float r = distance(0), g = distance(1), b = distance(2);
  float hue;
  if (rgb[0] == high) {
    hue = b - g;
  } else if (rgb[1] == high) {
    hue = static_cast<float>(2.0 + r - b);
  } else {
    hue = static_cast<float>(4.0 + g - r);
  }
  hue = static_cast<float>(std::fmod(hue / 6.0 + 1.0, 1.0));
  const float saturation = range / static_cast<float>(high);
  return {clipped(hue * 255.0), clipped(saturation * 255.0), static_cast<uint8_t>(high)};
}

cv::Vec3b to_rgb(const cv::Vec3b& hsv) {
  const uint8_t v = hsv[2];
  if (hsv[1] == 0) return {v, v, v};
  const double sixth = static_cast<float>(hsv[0]) * 6.0 / 255.0;
  const int sector = static_cast<int>(std::floor(sixth));
  const auto part = static_cast<float>(sixth - sector);
  const float saturation = static_cast<float>(hsv[1]) / 255.0F;
  const auto level = [&](double share) { return clipped(std::round(v * (1.0 - share))); };
  const uint8_t p = level(saturation), q = level(saturation * part),
                t = level(saturation * (1.0 - part));
  const std::array<cv::Vec3b, 6> colors = {cv::Vec3b{v, t, p}, {q, v, p}, {p, v, t},
                                           {p, q, v},          {t, p, v}, {v, p, q}};
  return colors[sector % 6];
}

}  // namespace

cv::Mat auto_contrast(const cv::Mat& image) {
  return by_histogram(image, stretching);
}

cv::Mat equalize(const cv::Mat& image) {
  return by_histogram(image, equalizing);
}

cv::Mat invert(const cv::Mat& image) {
  return solarize(image, 0);
}

cv::Mat posterize(const cv::Mat& image, int bits) {
  VIM_CHECK(bits >= 0 && bits <= 8);
  const int mask = ~((1 << (8 - bits)) - 1);
  return looked_up(image, table([&](int i) { return i & mask; }));
}

cv::Mat solarize(const cv::Mat& image, int threshold) {
  return looked_up(image, table([&](int i) { return i < threshold ? i : 255 - i; }));
}

cv::Mat solarize_add(const cv::Mat& image, int amount) {
  return looked_up(image, table([&](int i) { return i < 128 ? i + amount : i; }));
}

cv::Mat grayscale(const cv::Mat& image) {
  return image.channels() == 1 ? image.clone() : with_channels(with_channels(image, 1), 3);
}

cv::Mat adjust_brightness(const cv::Mat& image, double factor) {
  return blend(0, image, factor);
}

cv::Mat adjust_contrast(const cv::Mat& image, double factor) {
  const cv::Mat grey = with_channels(image, 1);
  int64_t sum = 0;
  for (int y = 0; y < grey.rows; ++y) {
    sum = std::accumulate(grey.ptr(y), grey.ptr(y) + grey.cols, sum);
  }
  const double mean = static_cast<double>(sum) / static_cast<double>(grey.total());
  return blend(static_cast<int>(mean + 0.5), image, factor);
}

cv::Mat adjust_saturation(const cv::Mat& image, double factor) {
  return blend(grayscale(image), image, factor);
}

cv::Mat adjust_sharpness(const cv::Mat& image, double factor) {
  return blend(smooth(image), image, factor);
}

cv::Mat adjust_hue(const cv::Mat& image, double turn) {
  if (image.channels() == 1) return image.clone();
  const auto steps = static_cast<uint8_t>(static_cast<int>(turn * 255));
  cv::Mat out(image.size(), image.type());
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      cv::Vec3b hsv = to_hsv(image.at<cv::Vec3b>(y, x));
      hsv[0] = static_cast<uint8_t>(hsv[0] + steps);
      out.at<cv::Vec3b>(y, x) = to_rgb(hsv);
    }
  }
  return out;
}

}  // namespace vim::data
