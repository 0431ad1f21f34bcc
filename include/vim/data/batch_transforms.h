// What happens to a whole training batch: which rectangles are erased, which images mixed.
#pragma once

#include <array>
#include <cstdint>

#include "vim/config/visitor.h"

namespace vim::data {

// Random erasing (Zhong et al., arXiv 1708.04896), of normalised values.
struct ErasingConfig {
  enum class Mode { kConst, kRand, kPixel };
  double p = 0;
  Mode mode = Mode::kPixel;
  std::array<double, 2> area = {0.02, 1.0 / 3};
  std::array<double, 2> aspect = {0.3, 1 / 0.3};
  int64_t min_count = 1;
  int64_t max_count = 1;
  bool operator==(const ErasingConfig&) const = default;
};

// Mixup (Zhang et al., arXiv 1710.09412) and CutMix (Yun et al., arXiv 1905.04899), as timm.
struct MixingConfig {
  enum class Mode { kBatch, kPair, kElem };
  double mixup_alpha = 0;
  double cutmix_alpha = 0;
  std::array<double, 2> cutmix_minmax = {0, 0};
  double p = 1;
  double switch_p = 0.5;
  Mode mode = Mode::kBatch;
  bool correct_lambda = true;
  bool operator==(const MixingConfig&) const = default;

  bool cuts() const { return cutmix_alpha > 0 || cutmix_minmax[1] > 0; }
  bool enabled() const { return p > 0 && (mixup_alpha > 0 || cuts()); }
};

void describe(config::Visitor& v, ErasingConfig& c);
void describe(config::Visitor& v, MixingConfig& c);
void check(const ErasingConfig& c, config::Problems& problems);
void check(const MixingConfig& c, config::Problems& problems);

}  // namespace vim::data

namespace vim::config {

template <>
inline constexpr auto enum_names<data::ErasingConfig::Mode> =
    named<data::ErasingConfig::Mode>({{data::ErasingConfig::Mode::kConst, "const"},
                                      {data::ErasingConfig::Mode::kRand, "rand"},
                                      {data::ErasingConfig::Mode::kPixel, "pixel"}});
template <>
inline constexpr auto enum_names<data::MixingConfig::Mode> =
    named<data::MixingConfig::Mode>({{data::MixingConfig::Mode::kBatch, "batch"},
                                     {data::MixingConfig::Mode::kPair, "pair"},
                                     {data::MixingConfig::Mode::kElem, "elem"}});

}  // namespace vim::config
