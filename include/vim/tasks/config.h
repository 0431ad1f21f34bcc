// What is learnt.
#pragma once

#include <string>

#include "vim/config/visitor.h"

namespace vim::tasks {

struct TaskConfig {
  std::string name = "classify";
  double label_smoothing = 0.1;
  bool operator==(const TaskConfig&) const = default;
};

void describe(config::Visitor& v, TaskConfig& c);
void check(const TaskConfig& c, config::Problems& problems);

}  // namespace vim::tasks
