#include "vim/data/transforms.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <type_traits>

#include "data/cut.h"
#include "data/exif.h"
#include "data/jpeg_part.h"
#include "data/resize.h"
#include "vim/core/error.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"

namespace vim::data {
namespace {

using config::at_least;

constexpr std::string_view kFilterDoc =
    "Filter, antialiased as Pillow's where it shrinks: nearest, box, bilinear, bicubic or lanczos.";

cv::Size target(const std::optional<int64_t>& size, const InputSize& input) {
  const int64_t width = size.value_or(input.width), height = size.value_or(input.height);
  VIM_CHECK(width > 0 && height > 0);
  return {static_cast<int>(width), static_cast<int>(height)};
}

// The smallest size of the image's shape that covers `cover`; what is over is cut off, as
// torchvision does.
cv::Size covering(cv::Size image, cv::Size cover) {
  int64_t width = cover.width, height = cover.height;
  if (int64_t{image.width} * height <= int64_t{image.height} * width) {
    height = std::max<int64_t>(1, width * image.height / image.width);
  } else {
    width = std::max<int64_t>(1, height * image.width / image.height);
  }
  if (width > kMaxPixels / height) {
    throw Error(concat(image.width, " x ", image.height,
                       " pixels are too long a strip to resize to ", width, " x ", height));
  }
  return {static_cast<int>(width), static_cast<int>(height)};
}

int round_to_int(double value) {
  return static_cast<int>(std::lrint(value));
}  // halves to even

// torchvision's RandomResizedCrop: ten attempts, then the largest allowed part of the middle.
cv::Rect draw_crop(cv::Size image, const RandomResizedCrop& c, RandomStream& random) {
  const auto [low, high] = c.ratio;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = image.area() * random.uniform(c.scale[0], c.scale[1]);
    const double ratio = std::exp(random.uniform(std::log(low), std::log(high)));
    const int width = round_to_int(std::sqrt(area * ratio));
    const int height = round_to_int(std::sqrt(area / ratio));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    const auto top = static_cast<int>(random.below(image.height - height + 1));
    const auto left = static_cast<int>(random.below(image.width - width + 1));
    return {left, top, width, height};
  }
  cv::Size part = image;
  const double ratio = static_cast<double>(image.width) / image.height;
  if (ratio < low) part.height = std::max(1, round_to_int(image.width / low));
  if (ratio > high) part.width = std::max(1, round_to_int(image.height * high));
  return {(image.width - part.width) / 2, (image.height - part.height) / 2, part.width,
          part.height};
}

// Of a JPEG of that size, as the part of the upright image; perhaps at another scale.
std::optional<cv::Mat> decode_part(const Sample& sample, cv::Size size, cv::Rect part,
                                   cv::Size wanted, Decoding decoding) {
  const cv::Rect stored = stored_part(part, size, sample.orientation);
  const auto decoded =
      decoding == Decoding::kFast
          ? decode_jpeg_part_fast(sample.jpeg, stored, upright(wanted, sample.orientation))
          : decode_jpeg_part(sample.jpeg, stored);
  if (!decoded) return std::nullopt;
  return upright(with_channels(*decoded, sample.channels), sample.orientation);
}

template <class T>
constexpr bool takes_jpeg = std::is_same_v<T, RandomResizedCrop>;

}  // namespace

void describe(config::Visitor& v, Resize& c) {
  v("size", c.size,
    "Short side in pixels; auto: the image covers the model's input divided by crop_fraction.",
    at_least(1));
  v("crop_fraction", c.crop_fraction,
    "With size: auto, the part of the short side that a crop of the model's input size keeps.",
    config::Rule{.minimum = 0, .maximum = 1, .exclusive_minimum = true});
  v("filter", c.filter, kFilterDoc);
}

void Resize::apply(Sample& sample, const InputSize& input, RandomStream&) const {
  cv::Size cover = target(size, input);
  if (!size) {
    cover = {static_cast<int>(cover.width / crop_fraction),
             static_cast<int>(cover.height / crop_fraction)};
  }
  sample.image = resize(sample.image, covering(sample.image.size(), cover), filter);
}

void describe(config::Visitor& v, CenterCrop& c) {
  v("size", c.size, "Side in pixels; auto: the model's input.", at_least(1));
}

void CenterCrop::apply(Sample& sample, const InputSize& input, RandomStream&) const {
  const cv::Size crop = target(size, input);
  // torchvision: a smaller image is padded, the odd pixel at the end; else halves round to even.
  const auto offset = [](int image, int part) {
    return image < part ? -((part - image) / 2) : round_to_int((image - part) / 2.0);
  };
  sample.image =
      cut(sample.image, {offset(sample.image.cols, crop.width),
                         offset(sample.image.rows, crop.height), crop.width, crop.height});
}

void describe(config::Visitor& v, RandomResizedCrop& c) {
  v("size", c.size, "Side of the result in pixels; auto: the model's input.", at_least(1));
  v("scale", c.scale, "Smallest and largest part of the image's area.",
    config::Rule{.minimum = 0, .maximum = 1, .exclusive_minimum = true});
  v("ratio", c.ratio, "Smallest and largest ratio of width to height before resizing.",
    config::positive);
  v("filter", c.filter, kFilterDoc);
  v("decoding", c.decoding,
    "Of a JPEG only the part is decoded. exact: to the same pixels as of the whole; fast: at 1/2, "
    "1/4 or 1/8 of the size where that suffices, with simpler arithmetic.");
}

void check(const RandomResizedCrop& c, config::Problems& problems) {
  if (c.scale[0] > c.scale[1]) problems.add("scale", "the smallest is above the largest");
  if (c.ratio[0] > c.ratio[1]) problems.add("ratio", "the smallest is above the largest");
}

void RandomResizedCrop::apply(Sample& sample, const InputSize& input, RandomStream& random) const {
  const auto jpeg_size = jpeg_size_for_parts(sample.jpeg);
  if (!jpeg_size) decode(sample);
  const cv::Size whole = jpeg_size ? upright(*jpeg_size, sample.orientation) : sample.image.size();
  const cv::Rect part = draw_crop(whole, *this, random);
  const cv::Size wanted = target(size, input);
  std::optional<cv::Mat> decoded;
  if (jpeg_size) decoded = decode_part(sample, *jpeg_size, part, wanted, decoding);
  if (!decoded) {
    decode(sample);
    decoded = sample.image(part);
  }
  sample.image = resize(*decoded, wanted, filter);
  sample.jpeg.clear();
}

void describe(config::Visitor& v, PaddedShift& c) {
  v("pixels", c.pixels, "Largest shift in each direction.", config::between(0, 4096));
}

void PaddedShift::apply(Sample& sample, const InputSize&, RandomStream& random) const {
  const auto draw = [&] { return static_cast<int>(random.below(2 * pixels + 1) - pixels); };
  const int dx = draw(), dy = draw();
  sample.image = cut(sample.image, {dx, dy, sample.image.cols, sample.image.rows});
}

void describe(config::Visitor& v, RandomCrop& c) {
  v("size", c.size, "Side of the result in pixels; auto: the model's input.", at_least(1));
  v("padding", c.padding, "Width of the border that the crop may reach into.",
    config::between(0, 4096));
  v("border", c.border, "What stands there: black, or the image mirrored.");
}

void RandomCrop::apply(Sample& sample, const InputSize& input, RandomStream& random) const {
  const cv::Size crop = target(size, input);
  const int border_width = static_cast<int>(padding);
  const cv::Size room = sample.image.size() + cv::Size(2 * border_width, 2 * border_width) - crop;
  if (room.width < 0 || room.height < 0) {
    throw Error(concat(sample.image.cols, " x ", sample.image.rows,
                       " pixels are too few for a crop of ", crop.width, " x ", crop.height,
                       "; put a resize before random_crop"));
  }
  const int left = static_cast<int>(random.below(room.width + 1)) - border_width;
  const int top = static_cast<int>(random.below(room.height + 1)) - border_width;
  const cv::Rect part = {left, top, crop.width, crop.height};
  sample.image =
      border == Border::kBlack ? cut(sample.image, part) : cut_mirrored(sample.image, part);
}

void describe(config::Visitor& v, Flip& c) {
  v("p", c.p, "Probability.", config::fraction);
}

void Flip::apply(Sample& sample, const InputSize&, RandomStream& random) const {
  if (random.uniform() >= p) return;
  cv::Mat mirrored;
  cv::flip(sample.image, mirrored, 1);
  sample.image = mirrored;
}

void Pipeline::apply(Sample& sample, RandomStream& random) const {
  for (const Transform& transform : transforms) {
    std::visit(
        [&]<class T>(const T& t) {
          if (!takes_jpeg<T>) decode(sample);
          t.apply(sample, input, random);
        },
        transform);
  }
  decode(sample);
}

}  // namespace vim::data
