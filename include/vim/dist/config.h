// How the processes that train together exchange gradients, and how long they wait for each other.
#pragma once

#include <optional>

#include "vim/config/codec.h"
#include "vim/config/visitor.h"

namespace vim::dist {

enum class Reducer {
  kAuto,   // kFused on GPUs, where it can be
  kC10d,   // c10d::Reducer
  kFused,  // a kernel a bucket rather than one a parameter
};

struct DistConfig {
  bool bf16_gradients = false;
  bool find_unused_parameters = false;
  Reducer reducer = Reducer::kAuto;
  std::optional<double> bucket_megabytes = {};
  double timeout = 20;
  bool operator==(const DistConfig&) const = default;
};

void describe(config::Visitor& v, DistConfig& c);

}  // namespace vim::dist

namespace vim::config {

template <>
inline constexpr auto enum_names<dist::Reducer> =
    named<dist::Reducer>({{dist::Reducer::kAuto, "auto"},
                          {dist::Reducer::kC10d, "c10d"},
                          {dist::Reducer::kFused, "fused"}});

}  // namespace vim::config
