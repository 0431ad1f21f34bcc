#include "vim/tasks/config.h"

#include "vim/config/problems.h"
#include "vim/core/text.h"

namespace vim::tasks {

void describe(config::Visitor& v, TaskConfig& c) {
  v("name", c.name, "What is learnt: classify.", config::not_empty);
  v("loss", c.loss,
    "cross_entropy (softmax) or binary_cross_entropy (each class for itself), both with soft "
    "targets.");
  v("label_smoothing", c.label_smoothing, "Share of the target spread evenly over all classes.",
    config::below_one);
  v("binary_threshold", c.binary_threshold,
    "With binary_cross_entropy, targets above this become 1 and others 0 (DeiT III: 0, with "
    "label_smoothing: 0); auto: they stay as they are.",
    config::fraction);
}

void check(const TaskConfig& c, config::Problems& problems) {
  if (c.name != "classify")
    problems.add("name", concat("unknown task '", c.name, "'; the one here is classify"));
  if (c.binary_threshold && c.loss != LossKind::kBinary) {
    problems.add("binary_threshold", "has no meaning without loss: binary_cross_entropy");
  }
}

}  // namespace vim::tasks
