// timm 1.0, timm/data/auto_augment.py: what a magnitude means, and what is done to the image.
#include "vim/data/augment_op.h"

#include <algorithm>

#include "data/color_ops.h"
#include "data/warp.h"
#include "vim/core/error.h"
#include "vim/core/random.h"

namespace vim::data {
namespace {

constexpr double kTranslatePixels = 250;  // of TranslateX and TranslateY at magnitude 10

int whole(double value) {
  return static_cast<int>(value);
}

int posterize_bits(double share) {
  return whole(share * 4);
}

int solarize_threshold(double share) {
  return std::min(256, whole(share * 256));
}

cv::Mat moved(const cv::Mat& image, const Affine& source, const WarpStyle& style) {
  return warp(image, source, style.filter, style.fill);
}

}  // namespace

double argument_at(AugmentOp op, double magnitude, bool negative) {
  const double share = magnitude / 10;
  const double sign = negative ? -1 : 1;
  switch (op) {
    case AugmentOp::kAutoContrast:
    case AugmentOp::kEqualize:
    case AugmentOp::kInvert:
      return 0;
    case AugmentOp::kRotate:
      return sign * share * 30;
    case AugmentOp::kPosterize:
      return posterize_bits(share);
    case AugmentOp::kPosterizeIncreasing:
      return 4 - posterize_bits(share);
    case AugmentOp::kPosterizeOriginal:
      return 4 + posterize_bits(share);
    case AugmentOp::kSolarize:
      return solarize_threshold(share);
    case AugmentOp::kSolarizeIncreasing:
      return 256 - solarize_threshold(share);
    case AugmentOp::kSolarizeAdd:
      return std::min(128, whole(share * 110));
    case AugmentOp::kColor:
    case AugmentOp::kContrast:
    case AugmentOp::kBrightness:
    case AugmentOp::kSharpness:
      return share * 1.8 + 0.1;
    case AugmentOp::kColorIncreasing:
    case AugmentOp::kContrastIncreasing:
    case AugmentOp::kBrightnessIncreasing:
    case AugmentOp::kSharpnessIncreasing:
      return std::max(0.1, 1 + sign * share * 0.9);
    case AugmentOp::kShearX:
    case AugmentOp::kShearY:
      return sign * share * 0.3;
    case AugmentOp::kTranslateX:
    case AugmentOp::kTranslateY:
      return sign * share * kTranslatePixels;
    case AugmentOp::kTranslateXRel:
    case AugmentOp::kTranslateYRel:
      return sign * share * 0.45;
    case AugmentOp::kDesaturate:
      return std::clamp(0.5 + 0.5 * share, 0.5, 1.0);
    case AugmentOp::kGaussianBlur:
      return std::clamp(0.1 + 1.9 * share, 0.1, 2.0);
    case AugmentOp::kGaussianBlurRand:
      return std::clamp(share, 0.0, 1.0);
  }
  VIM_CHECK(false);
  return 0;
}

cv::Mat augment(const cv::Mat& image, AugmentOp op, double argument, const WarpStyle& style,
                RandomStream& random) {
  switch (op) {
    case AugmentOp::kAutoContrast:
      return auto_contrast(image);
    case AugmentOp::kEqualize:
      return equalize(image);
    case AugmentOp::kInvert:
      return invert(image);
    case AugmentOp::kRotate:
      return moved(image, rotation(argument, image.size()), style);
    case AugmentOp::kPosterize:
    case AugmentOp::kPosterizeIncreasing:
    case AugmentOp::kPosterizeOriginal:
      return posterize(image, std::clamp(whole(argument), 0, 8));
    case AugmentOp::kSolarize:
    case AugmentOp::kSolarizeIncreasing:
      return solarize(image, whole(argument));
    case AugmentOp::kSolarizeAdd:
      return solarize_add(image, whole(argument));
    case AugmentOp::kColor:
    case AugmentOp::kColorIncreasing:
      return adjust_saturation(image, argument);
    case AugmentOp::kContrast:
    case AugmentOp::kContrastIncreasing:
      return adjust_contrast(image, argument);
    case AugmentOp::kBrightness:
    case AugmentOp::kBrightnessIncreasing:
      return adjust_brightness(image, argument);
    case AugmentOp::kSharpness:
    case AugmentOp::kSharpnessIncreasing:
      return adjust_sharpness(image, argument);
    case AugmentOp::kShearX:
      return moved(image, {.b = argument}, style);
    case AugmentOp::kShearY:
      return moved(image, {.d = argument}, style);
    case AugmentOp::kTranslateX:
      return moved(image, {.c = argument}, style);
    case AugmentOp::kTranslateY:
      return moved(image, {.f = argument}, style);
    case AugmentOp::kTranslateXRel:
      return moved(image, {.c = argument * image.cols}, style);
    case AugmentOp::kTranslateYRel:
      return moved(image, {.f = argument * image.rows}, style);
    case AugmentOp::kDesaturate:
      return adjust_saturation(image, std::clamp(1 - argument, 0.0, 1.0));
    case AugmentOp::kGaussianBlur:
      return gaussian_blur(image, argument);
    case AugmentOp::kGaussianBlurRand:
      return gaussian_blur(image, random.uniform(0.1, 2 * argument));
  }
  VIM_CHECK(false);
  return {};
}

}  // namespace vim::data
