#include "vim/tasks/config.h"

#include "vim/config/problems.h"
#include "vim/core/text.h"

namespace vim::tasks {

void describe(config::Visitor& v, TaskConfig& c) {
  v("name", c.name, "What is learnt: classify.", config::not_empty);
  v("label_smoothing", c.label_smoothing, "Share of the target spread evenly over all classes.",
    config::below_one);
}

void check(const TaskConfig& c, config::Problems& problems) {
  if (c.name != "classify")
    problems.add("name", concat("unknown task '", c.name, "'; the one here is classify"));
}

}  // namespace vim::tasks
