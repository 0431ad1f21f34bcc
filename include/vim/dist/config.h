// How the processes that train together exchange gradients, and how long they wait for each other.
#pragma once

#include "vim/config/visitor.h"

namespace vim::dist {

struct DistConfig {
  bool bf16_gradients = false;
  bool find_unused_parameters = false;
  double timeout = 20;
  bool operator==(const DistConfig&) const = default;
};

void describe(config::Visitor& v, DistConfig& c);

}  // namespace vim::dist
