// How pixels between pixels are made, and colours.
#pragma once

#include <array>
#include <cstdint>

#include "vim/config/leaf.h"

namespace vim::data {

// Pillow's filters; bicubic is the one with a = -0.5.
enum class Filter { kNearest, kBox, kBilinear, kBicubic, kLanczos };

using Color = std::array<int64_t, 3>;  // red, green, blue, 0..255

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
