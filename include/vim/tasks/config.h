// What is learnt.
#pragma once

#include <optional>
#include <string>

#include "vim/config/visitor.h"

namespace vim::tasks {

enum class LossKind { kCrossEntropy, kBinary };

struct TaskConfig {
  std::string name = "classify";
  LossKind loss = LossKind::kCrossEntropy;
  double label_smoothing = 0.1;
  std::optional<double> binary_threshold;
  bool operator==(const TaskConfig&) const = default;
};

void describe(config::Visitor& v, TaskConfig& c);
void check(const TaskConfig& c, config::Problems& problems);

}  // namespace vim::tasks

namespace vim::config {

template <>
inline constexpr auto enum_names<tasks::LossKind> =
    named<tasks::LossKind>({{tasks::LossKind::kCrossEntropy, "cross_entropy"},
                            {tasks::LossKind::kBinary, "binary_cross_entropy"}});

}  // namespace vim::config
