// timm's image operations by name, as its RandAugment strings and policies use them.
#pragma once

#include <array>
#include <cstdint>
#include <opencv2/core/mat.hpp>

#include "vim/config/leaf.h"
#include "vim/data/filter.h"

namespace vim {
class RandomStream;
}

namespace vim::data {

enum class AugmentOp {
  kAutoContrast,
  kEqualize,
  kInvert,
  kRotate,
  kPosterize,
  kPosterizeIncreasing,
  kPosterizeOriginal,
  kSolarize,
  kSolarizeIncreasing,
  kSolarizeAdd,
  kColor,
  kColorIncreasing,
  kContrast,
  kContrastIncreasing,
  kBrightness,
  kBrightnessIncreasing,
  kSharpness,
  kSharpnessIncreasing,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kTranslateXRel,
  kTranslateYRel,
  kDesaturate,
  kGaussianBlur,
  kGaussianBlurRand,
};

// How pixels are interpolated (bilinear or bicubic) and what stands where the image does not reach.
struct WarpStyle {
  Filter filter = Filter::kBicubic;
  Color fill = {124, 116, 104};
};

// The argument of an operation, in its own unit (degrees, bits, a factor, a share of the width), at
// a magnitude of 0..10; `negative` turns those with a sign around.
double argument_at(AugmentOp op, double magnitude, bool negative);

// A new image of the same size. GaussianBlurRand draws its radius; the others draw nothing.
cv::Mat augment(const cv::Mat& image, AugmentOp op, double argument, const WarpStyle& style,
                RandomStream& random);

}  // namespace vim::data

namespace vim::config {

template <>
inline constexpr auto enum_names<data::AugmentOp> =
    named<data::AugmentOp>({{data::AugmentOp::kAutoContrast, "AutoContrast"},
                            {data::AugmentOp::kEqualize, "Equalize"},
                            {data::AugmentOp::kInvert, "Invert"},
                            {data::AugmentOp::kRotate, "Rotate"},
                            {data::AugmentOp::kPosterize, "Posterize"},
                            {data::AugmentOp::kPosterizeIncreasing, "PosterizeIncreasing"},
                            {data::AugmentOp::kPosterizeOriginal, "PosterizeOriginal"},
                            {data::AugmentOp::kSolarize, "Solarize"},
                            {data::AugmentOp::kSolarizeIncreasing, "SolarizeIncreasing"},
                            {data::AugmentOp::kSolarizeAdd, "SolarizeAdd"},
                            {data::AugmentOp::kColor, "Color"},
                            {data::AugmentOp::kColorIncreasing, "ColorIncreasing"},
                            {data::AugmentOp::kContrast, "Contrast"},
                            {data::AugmentOp::kContrastIncreasing, "ContrastIncreasing"},
                            {data::AugmentOp::kBrightness, "Brightness"},
                            {data::AugmentOp::kBrightnessIncreasing, "BrightnessIncreasing"},
                            {data::AugmentOp::kSharpness, "Sharpness"},
                            {data::AugmentOp::kSharpnessIncreasing, "SharpnessIncreasing"},
                            {data::AugmentOp::kShearX, "ShearX"},
                            {data::AugmentOp::kShearY, "ShearY"},
                            {data::AugmentOp::kTranslateX, "TranslateX"},
                            {data::AugmentOp::kTranslateY, "TranslateY"},
                            {data::AugmentOp::kTranslateXRel, "TranslateXRel"},
                            {data::AugmentOp::kTranslateYRel, "TranslateYRel"},
                            {data::AugmentOp::kDesaturate, "Desaturate"},
                            {data::AugmentOp::kGaussianBlur, "GaussianBlur"},
                            {data::AugmentOp::kGaussianBlurRand, "GaussianBlurRand"}});

}  // namespace vim::config
