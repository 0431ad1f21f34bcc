// What a model is made of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "vim/config/visitor.h"

namespace vim::nn {

// Written `224` (square) or `[height, width]`, in pixels.
struct ImageSize {
  int64_t height = 224;
  int64_t width = 224;
  bool operator==(const ImageSize&) const = default;
};

// How a block sees both directions of the token sequence (paper, table 4; the official flag in
// brackets).
enum class Direction {
  kForward,      // first token to last only (bimamba_type none)
  kFlipAugment,  // one direction, but a training batch is scanned backwards with probability 1/2
  kLayerPairs,   // even layers forward, odd layers backward, both outputs summed (if_bidirectional)
  kShared,       // both directions share convolution and projections, own A (bimamba_type v1)
  kFull,         // both directions with their own weights (bimamba_type v2: the published models)
};

enum class ClassToken { kNone, kHead, kMiddle, kDouble, kRandom };
enum class Pool { kMean, kMax, kLast };
enum class Rotary { kNone, kInput, kInputAndResidual };
enum class Norm { kRms, kLayer };
enum class Attention { kFused, kPlain };

// How a position embedding of another grid is resized.
enum class PositionInterpolation {
  kClassAware,  // the patches as a grid; a class token's row goes where the class token goes
  kOfficial,    // the first row is taken for the class token's, wherever that is
};

// Flaws of the official code that a published number may depend on. All off: the sane behaviour.
struct ModelQuirks {
  bool zero_dt_proj_b_bias = false;
  bool lecun_absolute_trunc = false;
  bool v1_official_grad = false;
  bool rope_odd_len_skips_first = false;
  bool pair_no_div2 = false;
  bool operator==(const ModelQuirks&) const = default;
};

// The vision transformer that is here to compare with.
struct VitConfig {
  std::optional<int64_t> heads;
  double mlp_ratio = 4;
  Attention attention = Attention::kFused;
  bool operator==(const VitConfig&) const = default;
};

// Vision Mamba. The defaults are Vim-Ti (README of hustvl/Vim).
struct ModelConfig {
  std::string name = "vim";
  ImageSize image_size;
  int64_t in_channels = 3;
  int64_t patch_size = 16;
  std::optional<int64_t> stride;
  int64_t embed_dim = 192;
  int64_t depth = 24;
  int64_t state_dim = 16;
  int64_t expand = 2;
  int64_t conv_kernel = 4;
  std::optional<int64_t> dt_rank;
  int64_t num_classes = 1000;
  Direction direction = Direction::kFull;
  ClassToken class_token = ClassToken::kMiddle;
  Pool pool = Pool::kMean;
  bool position_embedding = true;
  Rotary rotary = Rotary::kNone;
  int64_t rotary_grid = 14;
  Norm norm = Norm::kRms;
  double layer_scale = 0;
  bool divide_out = true;
  double drop_rate = 0;
  double drop_path_rate = 0;
  std::string init_from;
  bool init_ema = false;
  bool init_partial = false;
  PositionInterpolation pos_interp = PositionInterpolation::kClassAware;
  bool recompute = false;
  double recompute_share = 1;
  ModelQuirks quirks;
  VitConfig vit;

  int64_t patch_stride() const { return stride.value_or(patch_size); }
  int64_t grid_height() const { return (image_size.height - patch_size) / patch_stride() + 1; }
  int64_t grid_width() const { return (image_size.width - patch_size) / patch_stride() + 1; }
  int64_t patches() const { return grid_height() * grid_width(); }
  int64_t class_tokens() const {
    return class_token == ClassToken::kNone ? 0 : class_token == ClassToken::kDouble ? 2 : 1;
  }
  int64_t tokens() const { return patches() + class_tokens(); }
  int64_t inner_dim() const { return expand * embed_dim; }
  int64_t heads() const { return vit.heads.value_or(std::max<int64_t>(1, embed_dim / 64)); }
  int64_t delta_rank() const { return dt_rank.value_or((embed_dim + 15) / 16); }
  bool operator==(const ModelConfig&) const = default;
};

void describe(config::Visitor& v, ModelQuirks& c);
void describe(config::Visitor& v, VitConfig& c);
void describe(config::Visitor& v, ModelConfig& c);
void check(const ModelConfig& c, config::Problems& problems);

}  // namespace vim::nn

namespace vim::config {

template <>
struct Leaf<nn::ImageSize> {
  static std::string kind() { return "a size in pixels or [height, width]"; }
  static bool read(const Node& node, nn::ImageSize& value);
  static Node write(const nn::ImageSize& value);
};

template <>
inline constexpr auto enum_names<nn::Direction> =
    named<nn::Direction>({{nn::Direction::kForward, "forward"},
                          {nn::Direction::kFlipAugment, "flip_augment"},
                          {nn::Direction::kLayerPairs, "layer_pairs"},
                          {nn::Direction::kShared, "shared"},
                          {nn::Direction::kFull, "full"}});
template <>
inline constexpr auto enum_names<nn::ClassToken> =
    named<nn::ClassToken>({{nn::ClassToken::kNone, "none"},
                           {nn::ClassToken::kHead, "head"},
                           {nn::ClassToken::kMiddle, "middle"},
                           {nn::ClassToken::kDouble, "double"},
                           {nn::ClassToken::kRandom, "random"}});
template <>
inline constexpr auto enum_names<nn::Pool> = named<nn::Pool>({{nn::Pool::kMean, "mean"},
                                                              {nn::Pool::kMax, "max"},
                                                              {nn::Pool::kLast, "last"}});
template <>
inline constexpr auto enum_names<nn::Rotary> = named<nn::Rotary>({{nn::Rotary::kNone, "none"},
                                                                  {nn::Rotary::kInput, "input"},
                                                                  {nn::Rotary::kInputAndResidual,
                                                                   "input_and_residual"}});
template <>
inline constexpr auto enum_names<nn::PositionInterpolation> =
    named<nn::PositionInterpolation>({{nn::PositionInterpolation::kClassAware, "class_aware"},
                                      {nn::PositionInterpolation::kOfficial, "official"}});
template <>
inline constexpr auto enum_names<nn::Norm> = named<nn::Norm>({{nn::Norm::kRms, "rms"},
                                                              {nn::Norm::kLayer, "layer"}});

template <>
inline constexpr auto enum_names<nn::Attention> =
    named<nn::Attention>({{nn::Attention::kFused, "fused"}, {nn::Attention::kPlain, "plain"}});

}  // namespace vim::config
