#include "vim/dist/config.h"

namespace vim::dist {

void describe(config::Visitor& v, DistConfig& c) {
  v("bf16_gradients", c.bf16_gradients,
    "Exchange gradients between processes as bfloat16: half the traffic, less exact sums.");
  v("find_unused_parameters", c.find_unused_parameters,
    "Look in every step for parameters that take no part in the loss; else they are refused.");
  v("timeout", c.timeout,
    "Seconds that the others wait for a process that makes no progress before the job ends; four "
    "times the longest pause so far where that is more.",
    config::positive);
}

}  // namespace vim::dist
