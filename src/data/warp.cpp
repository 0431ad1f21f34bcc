// Pillow's arithmetic to the last bit (src/libImaging/Geometry.c): double precision, along rows and
// then along the column, and the value cut off to a whole number, so that the last bit decides
// where it meets one. Four numbers a pixel make a pixel a vector.
#include "data/warp.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "data/clones.h"
#include "vim/core/error.h"
#include "vim/data/image.h"

namespace vim::data {
namespace {

constexpr int kMargin = 2;  // bicubic at the edge looks two pixels beyond it
constexpr int kLanes = 4;
using Pixel = double __attribute__((vector_size(32)));
using Whole = int32_t __attribute__((vector_size(16)));

// The image with its edge pixels repeated outwards, as numbers ready to be multiplied.
class Source {
 public:
  explicit Source(const cv::Mat& image)
      : stride_(kLanes * (image.cols + 2 * kMargin)),
        values_(static_cast<size_t>(stride_) * (image.rows + 2 * kMargin)) {
    for (int y = -kMargin; y < image.rows + kMargin; ++y) {
      double* row = values_.data() + static_cast<size_t>(stride_) * (y + kMargin);
      const uint8_t* in = image.ptr(std::clamp(y, 0, image.rows - 1));
      if (image.channels() == 3) fill_row<3>(in, image.cols, row);
      if (image.channels() == 1) fill_row<1>(in, image.cols, row);
    }
  }
  const double* at(int x, int y) const {
    return values_.data() + static_cast<ptrdiff_t>(stride_) * (y + kMargin) +
           kLanes * (x + kMargin);
  }
  int stride() const { return stride_; }

 private:
  template <int kChannels>
  static void fill_row(const uint8_t* in, int width, double* row) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < kChannels; ++c) {
        row[kLanes * (x + kMargin) + c] = in[kChannels * x + c];
      }
    }
    for (int i = 0; i < kMargin; ++i) {
      std::memcpy(row + kLanes * i, row + kLanes * kMargin, sizeof(Pixel));
      std::memcpy(row + kLanes * (kMargin + width + i), row + kLanes * (kMargin + width - 1),
                  sizeof(Pixel));
    }
  }

  int stride_;  // numbers from row to row
  std::vector<double> values_;
};

// Where the pixels of one row come from.
struct Positions {
  explicit Positions(int width) : x(width), y(width), dx(width), dy(width), inside(width) {}
  std::vector<int32_t> x, y;    // the pixel whose centre is left of and above the position
  std::vector<double> dx, dy;   // the distance from it
  std::vector<int32_t> inside;  // of the image
};

VIM_CLONES void locate(const Affine& m, int row, cv::Size size, Positions& out) {
  int32_t* x = out.x.data();
  int32_t* y = out.y.data();
  double* dx = out.dx.data();
  double* dy = out.dy.data();
  int32_t* inside = out.inside.data();
  const double from_y = row + 0.5, width = size.width, height = size.height;
  for (int i = 0; i < size.width; ++i) {
    const double from_x = i + 0.5;
    const double px = m.a * from_x + m.b * from_y + m.c;
    const double py = m.d * from_x + m.e * from_y + m.f;
    const bool is_inside = (px >= 0) & (px < width) & (py >= 0) & (py < height);
    const double left = std::floor(is_inside ? px - 0.5 : 0);
    const double top = std::floor(is_inside ? py - 0.5 : 0);
    inside[i] = is_inside;
    x[i] = static_cast<int32_t>(left);
    y[i] = static_cast<int32_t>(top);
    dx[i] = px - 0.5 - left;
    dy[i] = py - 0.5 - top;
  }
}

[[gnu::always_inline]] inline void load(const double* from, Pixel& value) {
  std::memcpy(&value, from, sizeof value);
}

// Between b and c.
[[gnu::always_inline]] inline void cubic(const Pixel& a, const Pixel& b, const Pixel& c,
                                         const Pixel& d, double t, Pixel& out) {
  const Pixel p2 = -a + c, p3 = 2 * (a - b) + c - d, p4 = -a + b - c + d;
  out = b + t * (p2 + t * (p3 + t * p4));
}

[[gnu::always_inline]] inline void store(const Pixel& value, int32_t* out) {
  const Pixel low = Pixel{}, high = low + 255;
  const Pixel above = value > low ? value : low;
  const Whole whole = __builtin_convertvector(above < high ? above : high, Whole);
  std::memcpy(out, &whole, sizeof whole);
}

// Between the second and the third of four pixels in a row.
[[gnu::always_inline]] inline void cubic_along(const double* from, double t, Pixel& out) {
  Pixel a, b, c, d;
  load(from + kLanes, b);
  if (t == 0) {
    out = b;
    return;
  }
  load(from, a);
  load(from + 2 * kLanes, c);
  load(from + 3 * kLanes, d);
  cubic(a, b, c, d, t, out);
}

VIM_CLONES void bicubic_row(const Source& source, const Positions& at, int width, int32_t* out) {
  const int stride = source.stride();
  for (int i = 0; i < width; ++i, out += kLanes) {
    if (!at.inside[i]) continue;
    const double* from = source.at(at.x[i] - 1, at.y[i]);
    const double dx = at.dx[i], dy = at.dy[i];
    Pixel value;
    cubic_along(from, dx, value);
    if (dy != 0) {
      Pixel a, c, d;
      cubic_along(from - stride, dx, a);
      cubic_along(from + stride, dx, c);
      cubic_along(from + 2 * stride, dx, d);
      cubic(a, value, c, d, dy, value);
    }
    store(value, out);
  }
}

[[gnu::always_inline]] inline void linear_along(const double* from, double t, Pixel& out) {
  Pixel a, b;
  load(from, a);
  load(from + kLanes, b);
  out = a + (b - a) * t;
}

VIM_CLONES void bilinear_row(const Source& source, const Positions& at, int width, int32_t* out) {
  for (int i = 0; i < width; ++i, out += kLanes) {
    if (!at.inside[i]) continue;
    const double* from = source.at(at.x[i], at.y[i]);
    Pixel top, bottom;
    linear_along(from, at.dx[i], top);
    linear_along(from + source.stride(), at.dx[i], bottom);
    store(top + (bottom - top) * at.dy[i], out);
  }
}

// The image's own bytes for each four numbers.
template <int kChannels>
void pack(const int32_t* in, int width, uint8_t* out) {
  for (int x = 0; x < width; ++x) {
    for (int c = 0; c < kChannels; ++c) {
      out[kChannels * x + c] = static_cast<uint8_t>(in[kLanes * x + c]);
    }
  }
}

// A row of nothing but the colour.
std::vector<int32_t> filled_row(int width, int channels, const Color& fill) {
  const cv::Mat_<cv::Vec3b> pixel(1, 1,
                                  {static_cast<uint8_t>(fill[0]), static_cast<uint8_t>(fill[1]),
                                   static_cast<uint8_t>(fill[2])});
  const cv::Mat color = with_channels(pixel, channels);
  std::vector<int32_t> row(static_cast<size_t>(kLanes) * width);
  for (size_t i = 0; i < row.size(); ++i)
    row[i] = color.data[std::min<size_t>(i % kLanes, channels - 1)];
  return row;
}

double rounded(double value) {
  return std::round(value * 1e15) / 1e15;
}

}  // namespace

Affine rotation(double degrees, cv::Size size) {
  double turn = std::fmod(degrees, 360.0);
  if (turn < 0) turn += 360;
  const double angle = -turn * std::numbers::pi / 180;
  Affine m = {rounded(std::cos(angle)),  rounded(std::sin(angle)), 0,
              rounded(-std::sin(angle)), rounded(std::cos(angle)), 0};
  const double x = size.width / 2.0, y = size.height / 2.0;
  m.c = m.a * -x + m.b * -y + x;
  m.f = m.d * -x + m.e * -y + y;
  return m;
}

bool can_warp(Filter filter) {
  return filter == Filter::kBilinear || filter == Filter::kBicubic;
}

cv::Mat warp(const cv::Mat& image, const Affine& source, Filter filter, const Color& fill) {
  VIM_CHECK(image.type() == CV_8UC3 || image.type() == CV_8UC1);
  VIM_CHECK(can_warp(filter));
  const Source in(image);
  const std::vector<int32_t> background = filled_row(image.cols, image.channels(), fill);
  cv::Mat out(image.size(), image.type());
  Positions positions(image.cols);
  std::vector<int32_t> row;
  for (int y = 0; y < image.rows; ++y) {
    row = background;
    locate(source, y, image.size(), positions);
    (filter == Filter::kBicubic ? bicubic_row : bilinear_row)(in, positions, image.cols,
                                                              row.data());
    (image.channels() == 3 ? pack<3> : pack<1>)(row.data(), image.cols, out.ptr(y));
  }
  return out;
}

}  // namespace vim::data
