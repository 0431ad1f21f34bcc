// Transforms with fixed arguments, for `vim-data apply`: nothing is drawn.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "vim/config/visitor.h"
#include "vim/data/augment_op.h"
#include "vim/data/filter.h"

namespace vim::data::fixed {

struct Crop {
  static constexpr std::string_view kName = "crop";
  static constexpr std::string_view kDoc = "Cut out a part; what lies outside is black.";
  std::array<int64_t, 4> box = {0, 0, 1, 1};
  cv::Mat apply(const cv::Mat& image) const;
};

struct CenterCrop {
  static constexpr std::string_view kName = "center_crop";
  static constexpr std::string_view kDoc = "Cut out the middle, as in evaluation.";
  std::array<int64_t, 2> size = {224, 224};
  cv::Mat apply(const cv::Mat& image) const;
};

struct Resize {
  static constexpr std::string_view kName = "resize";
  static constexpr std::string_view kDoc = "Resize to exactly that size.";
  std::array<int64_t, 2> size = {224, 224};
  Filter filter = Filter::kBicubic;
  cv::Mat apply(const cv::Mat& image) const;
};

struct ResizeShort {
  static constexpr std::string_view kName = "resize_short";
  static constexpr std::string_view kDoc = "Resize the short side; the aspect ratio stays.";
  int64_t size = 256;
  Filter filter = Filter::kBicubic;
  cv::Mat apply(const cv::Mat& image) const;
};

struct Flip {
  static constexpr std::string_view kName = "flip";
  static constexpr std::string_view kDoc = "Mirror left and right.";
  cv::Mat apply(const cv::Mat& image) const;
};

struct RandAugmentOp {
  static constexpr std::string_view kName = "rand_augment_op";
  static constexpr std::string_view kDoc = "One of timm's operations.";
  AugmentOp name = AugmentOp::kAutoContrast;
  double argument = 0;
  Filter filter = Filter::kBicubic;
  Color fill = {124, 116, 104};
  cv::Mat apply(const cv::Mat& image) const;
};

struct Grayscale {
  static constexpr std::string_view kName = "grayscale";
  static constexpr std::string_view kDoc = "Three equal channels.";
  cv::Mat apply(const cv::Mat& image) const;
};

struct Solarize {
  static constexpr std::string_view kName = "solarize";
  static constexpr std::string_view kDoc = "Invert values from a threshold upwards.";
  int64_t threshold = 128;
  cv::Mat apply(const cv::Mat& image) const;
};

struct GaussianBlur {
  static constexpr std::string_view kName = "gaussian_blur";
  static constexpr std::string_view kDoc = "Blur.";
  double radius = 1;
  cv::Mat apply(const cv::Mat& image) const;
};

struct Adjust {
  static constexpr std::string_view kName = "adjust";
  static constexpr std::string_view kDoc =
      "Change brightness, contrast, saturation (factors; 1: unchanged) and hue (turns), in this "
      "order.";
  double brightness = 1;
  double contrast = 1;
  double saturation = 1;
  double hue = 0;
  cv::Mat apply(const cv::Mat& image) const;
};

using Transform = std::variant<Crop, CenterCrop, Resize, ResizeShort, Flip, RandAugmentOp,
                               Grayscale, Solarize, GaussianBlur, Adjust>;

struct List {
  std::vector<Transform> transforms;
};

void describe(config::Visitor& v, Crop& c);
void describe(config::Visitor& v, CenterCrop& c);
void describe(config::Visitor& v, Resize& c);
void describe(config::Visitor& v, ResizeShort& c);
void describe(config::Visitor& v, Flip& c);
void describe(config::Visitor& v, RandAugmentOp& c);
void describe(config::Visitor& v, Grayscale& c);
void describe(config::Visitor& v, Solarize& c);
void describe(config::Visitor& v, GaussianBlur& c);
void describe(config::Visitor& v, Adjust& c);
void describe(config::Visitor& v, List& c);
void check(const Crop& c, config::Problems& problems);
void check(const RandAugmentOp& c, config::Problems& problems);

// The transforms one after another, on CV_8UC3.
cv::Mat apply(const List& list, cv::Mat image);

}  // namespace vim::data::fixed
