// What happens to an image between its file and the batch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "vim/config/visitor.h"

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

// Pillow's filters; bicubic is the one with a = -0.5.
enum class Filter { kNearest, kBox, kBilinear, kBicubic, kLanczos };

// To add a transform: a struct here, its name in Transform below, its `describe` and `apply` in
// src/data/transforms.cpp. `apply` replaces sample.image, and never writes into it: a data set may
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

using Transform = std::variant<Resize, CenterCrop, RandomResizedCrop, PaddedShift, Flip>;

void describe(config::Visitor& v, Resize& c);
void describe(config::Visitor& v, CenterCrop& c);
void describe(config::Visitor& v, RandomResizedCrop& c);
void describe(config::Visitor& v, PaddedShift& c);
void describe(config::Visitor& v, Flip& c);
void check(const RandomResizedCrop& c, config::Problems& problems);

// A list of transforms for a model's input.
struct Pipeline {
  std::vector<Transform> transforms;
  InputSize input;
  void apply(Sample& sample, RandomStream& random) const;
};

}  // namespace vim::data

namespace vim::config {

template <>
inline constexpr auto enum_names<data::Filter> =
    named<data::Filter>({{data::Filter::kNearest, "nearest"},
                         {data::Filter::kBox, "box"},
                         {data::Filter::kBilinear, "bilinear"},
                         {data::Filter::kBicubic, "bicubic"},
                         {data::Filter::kLanczos, "lanczos"}});

}  // namespace vim::config
