#include "vim/dist/config.h"

namespace vim::dist {

void describe(config::Visitor& v, DistConfig& c) {
  v("bf16_gradients", c.bf16_gradients,
    "Exchange gradients between processes as bfloat16: half the traffic, less exact sums.");
  v("find_unused_parameters", c.find_unused_parameters,
    "Look in every step for parameters that take no part in the loss; else they are refused.");
  v("reducer", c.reducer,
    "What gathers gradients for the exchange: c10d, PyTorch's, with a kernel for each parameter; "
    "fused, with one for each bucket, which cannot find unused parameters; auto: fused on GPUs "
    "where it can be, else c10d.");
  v("bucket_megabytes", c.bucket_megabytes,
    "Gradients are exchanged in buckets of this size, beside the backward pass; auto: 25, but all "
    "at once behind it where NVLink joins the GPUs of one machine, which takes them less time.",
    config::positive);
  v("timeout", c.timeout,
    "Seconds that the others wait for a process that makes no progress before the job ends; four "
    "times the longest pause so far where that is more.",
    config::positive);
}

}  // namespace vim::dist
