#include "vim/data/fixed_transforms.h"

#include "data/color_ops.h"
#include "data/cut.h"
#include "data/resize.h"
#include "data/warp.h"
#include "vim/core/error.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"
#include "vim/data/transforms.h"

namespace vim::data::fixed {
namespace {

constexpr double kMaxSide = 65535;
const config::Rule kSide = config::between(1, kMaxSide);

cv::Size checked_size(int64_t width, int64_t height) {
  if (width > kMaxPixels / height) {
    throw Error(concat(width, " x ", height, " pixels are more than are allowed"));
  }
  return {static_cast<int>(width), static_cast<int>(height)};
}

// What a transform of the pipeline does where nothing is random.
template <class T>
cv::Mat as_in_pipeline(const T& transform, const cv::Mat& image, const InputSize& input = {}) {
  Sample sample = {image};
  RandomStream unused(0, Purpose::kTransform);
  transform.apply(sample, input, unused);
  return sample.image;
}

}  // namespace

void describe(config::Visitor& v, Crop& c) {
  v("box", c.box, "Left, top, right, bottom.", config::between(-kMaxSide, kMaxSide));
}
void check(const Crop& c, config::Problems& problems) {
  if (c.box[0] >= c.box[2] || c.box[1] >= c.box[3]) {
    problems.add("box", "is empty; it is [left, top, right, bottom]");
  }
}
cv::Mat Crop::apply(const cv::Mat& image) const {
  const cv::Size size = checked_size(box[2] - box[0], box[3] - box[1]);
  return cut(image, {cv::Point(static_cast<int>(box[0]), static_cast<int>(box[1])), size});
}

void describe(config::Visitor& v, CenterCrop& c) {
  v("size", c.size, "Width and height.", kSide);
}
cv::Mat CenterCrop::apply(const cv::Mat& image) const {
  checked_size(size[0], size[1]);
  return as_in_pipeline(data::CenterCrop{}, image, {.height = size[1], .width = size[0]});
}

void describe(config::Visitor& v, Resize& c) {
  v("size", c.size, "Width and height.", kSide);
  v("filter", c.filter, "Antialiased where it shrinks.");
}
cv::Mat Resize::apply(const cv::Mat& image) const {
  return resize(image, checked_size(size[0], size[1]), filter);
}

void describe(config::Visitor& v, ResizeShort& c) {
  v("size", c.size, "Short side.", kSide);
  v("filter", c.filter, "Antialiased where it shrinks.");
}
cv::Mat ResizeShort::apply(const cv::Mat& image) const {
  return as_in_pipeline(data::Resize{.size = size, .filter = filter}, image);
}

void describe(config::Visitor&, Flip&) {}
cv::Mat Flip::apply(const cv::Mat& image) const {
  return as_in_pipeline(data::Flip{1}, image);
}

void describe(config::Visitor& v, RandAugmentOp& c) {
  v("name", c.name, "Its name in timm.");
  v("argument", c.argument,
    "In its own unit: degrees, bits, a threshold, a factor, a part of the width; none for "
    "AutoContrast, Equalize and Invert.");
  v("filter", c.filter, "bilinear or bicubic.");
  v("fill", c.fill, "Red, green and blue where the image does not reach.", config::between(0, 255));
}
void check(const RandAugmentOp& c, config::Problems& problems) {
  if (!can_warp(c.filter)) problems.add("filter", "expected bilinear or bicubic");
}
cv::Mat RandAugmentOp::apply(const cv::Mat& image) const {
  RandomStream random(0, Purpose::kTransform);
  return augment(image, name, argument, {filter, fill}, random);
}

void describe(config::Visitor&, Grayscale&) {}
cv::Mat Grayscale::apply(const cv::Mat& image) const {
  return grayscale(image);
}

void describe(config::Visitor& v, Solarize& c) {
  v("threshold", c.threshold, "Inverts from here upwards.", config::between(0, 256));
}
cv::Mat Solarize::apply(const cv::Mat& image) const {
  return solarize(image, static_cast<int>(threshold));
}

void describe(config::Visitor& v, GaussianBlur& c) {
  v("radius", c.radius, "Standard deviation in pixels.", config::between(0, 1000));
}
cv::Mat GaussianBlur::apply(const cv::Mat& image) const {
  return gaussian_blur(image, radius);
}

void describe(config::Visitor& v, Adjust& c) {
  v("brightness", c.brightness, "Factor.", config::at_least(0));
  v("contrast", c.contrast, "Factor.", config::at_least(0));
  v("saturation", c.saturation, "Factor.", config::at_least(0));
  v("hue", c.hue, "Part of the colour circle.", config::between(-0.5, 0.5));
}
cv::Mat Adjust::apply(const cv::Mat& image) const {
  cv::Mat out = image;
  if (brightness != 1) out = adjust_brightness(out, brightness);
  if (contrast != 1) out = adjust_contrast(out, contrast);
  if (saturation != 1) out = adjust_saturation(out, saturation);
  if (hue != 0) out = adjust_hue(out, hue);
  return out;
}

void describe(config::Visitor& v, List& c) {
  v("transforms", c.transforms, "What happens to the image, in order.");
}

cv::Mat apply(const List& list, cv::Mat image) {
  for (const Transform& transform : list.transforms) {
    image = std::visit([&](const auto& t) { return t.apply(image); }, transform);
  }
  return image;
}

}  // namespace vim::data::fixed
