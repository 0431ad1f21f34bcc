// What happens to an image between its file and the batch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vim/config/visitor.h"
#include "vim/data/filter.h"

namespace vim {
class RandomStream;
}

namespace vim::data {

struct Sample;

// The model's input in pixels; a transform whose size is `auto` takes it.
struct InputSize {
  int64_t height = 0;
  int64_t width = 0;
};

// What stands beyond the edge: black, or the image mirrored at its outermost pixels.
enum class Border { kBlack, kReflect };

// How a crop is made of a JPEG: with the pixels that the whole image has there, or at a reduced
// scale and with simpler arithmetic.
enum class Decoding { kExact, kFast };

// To add a transform: a struct here, its name in Transform below, its `describe` and `apply` in
// src/data. `apply` replaces sample.image, and never writes into it: a data set may
// own the pixels. The random numbers it draws are a function of the seed, the epoch and the sample.

struct Resize {
  static constexpr std::string_view kName = "resize";
  static constexpr std::string_view kDoc = "Resize the short side; the aspect ratio stays.";
  std::optional<int64_t> size;
  double crop_fraction = 0.875;
  Filter filter = Filter::kBicubic;
  void apply(Sample& sample, const InputSize& input, RandomStream& random) const;
  bool operator==(const Resize&) const = default;
};

struct CenterCrop {
  static constexpr std::string_view kName = "center_crop";
  static constexpr std::string_view kDoc =
      "Cut out the middle; what lies outside of a smaller image is black.";
  std::optional<int64_t> size;
  void apply(Sample& sample, const InputSize& input, RandomStream& random) const;
  bool operator==(const CenterCrop&) const = default;
};

struct RandomResizedCrop {
  static constexpr std::string_view kName = "random_resized_crop";
  static constexpr std::string_view kDoc =
      "Cut out a part of random area and aspect ratio and resize it.";
  std::optional<int64_t> size;
  std::array<double, 2> scale = {0.08, 1.0};
  std::array<double, 2> ratio = {3.0 / 4.0, 4.0 / 3.0};
  Filter filter = Filter::kBicubic;
  Decoding decoding = Decoding::kExact;
  void apply(Sample& sample, const InputSize& input, RandomStream& random) const;
  bool operator==(const RandomResizedCrop&) const = default;
};

struct PaddedShift {
  static constexpr std::string_view kName = "padded_shift";
  static constexpr std::string_view kDoc =
      "Shift the image at random, black where nothing is left: a random crop of the padded image.";
  int64_t pixels = 4;
  void apply(Sample& sample, const InputSize& input, RandomStream& random) const;
  bool operator==(const PaddedShift&) const = default;
};

struct Flip {
  static constexpr std::string_view kName = "flip";
  static constexpr std::string_view kDoc = "Mirror left and right.";
  double p = 0.5;
  void apply(Sample& sample, const InputSize& input, RandomStream& random) const;
  bool operator==(const Flip&) const = default;
};

struct RandomCrop {
  static constexpr std::string_view kName = "random_crop";
  static constexpr std::string_view kDoc =
      "Cut out a square or the model's input size anywhere in the image with its border; after "
      "resize: {crop_fraction: 1}, the simple random crop of DeiT III.";
  std::optional<int64_t> size;
  int64_t padding = 4;
  Border border = Border::kReflect;
  void apply(Sample& sample, const InputSize& input, RandomStream& random) const;
  bool operator==(const RandomCrop&) const = default;
};

struct RandAugment {
  static constexpr std::string_view kName = "rand_augment";
  static constexpr std::string_view kDoc = "Some random operations of timm's RandAugment.";
  std::string policy = "rand-m9-mstd0.5-inc1";
  Filter filter = Filter::kBicubic;
  Color fill = {124, 116, 104};
  void apply(Sample& sample, const InputSize& input, RandomStream& random) const;
  bool operator==(const RandAugment&) const = default;
};

struct ThreeAugment {
  static constexpr std::string_view kName = "three_augment";
  static constexpr std::string_view kDoc =
      "DeiT III's 3-Augment: one of grey, solarize, Gaussian blur.";
  int64_t threshold = 128;
  std::array<double, 2> radius = {0.1, 2.0};
  void apply(Sample& sample, const InputSize& input, RandomStream& random) const;
  bool operator==(const ThreeAugment&) const = default;
};

struct ColorJitter {
  static constexpr std::string_view kName = "color_jitter";
  static constexpr std::string_view kDoc =
      "Brightness, contrast, saturation and hue changed at random, in random order, as "
      "torchvision's ColorJitter.";
  double brightness = 0.3;
  double contrast = 0.3;
  double saturation = 0.3;
  double hue = 0;
  void apply(Sample& sample, const InputSize& input, RandomStream& random) const;
  bool operator==(const ColorJitter&) const = default;
};

using Transform = std::variant<Resize, CenterCrop, RandomResizedCrop, PaddedShift, RandomCrop, Flip,
                               RandAugment, ThreeAugment, ColorJitter>;

void describe(config::Visitor& v, Resize& c);
void describe(config::Visitor& v, CenterCrop& c);
void describe(config::Visitor& v, RandomResizedCrop& c);
void describe(config::Visitor& v, PaddedShift& c);
void describe(config::Visitor& v, RandomCrop& c);
void describe(config::Visitor& v, Flip& c);
void describe(config::Visitor& v, RandAugment& c);
void describe(config::Visitor& v, ThreeAugment& c);
void describe(config::Visitor& v, ColorJitter& c);
void check(const RandomResizedCrop& c, config::Problems& problems);
void check(const RandAugment& c, config::Problems& problems);
void check(const ThreeAugment& c, config::Problems& problems);

// A list of transforms for a model's input.
struct Pipeline {
  std::vector<Transform> transforms;
  InputSize input;
  void apply(Sample& sample, RandomStream& random) const;
};

}  // namespace vim::data

namespace vim::config {

template <>
inline constexpr auto enum_names<data::Decoding> =
    named<data::Decoding>({{data::Decoding::kExact, "exact"}, {data::Decoding::kFast, "fast"}});

template <>
inline constexpr auto enum_names<data::Border> =
    named<data::Border>({{data::Border::kBlack, "black"}, {data::Border::kReflect, "reflect"}});

}  // namespace vim::config
