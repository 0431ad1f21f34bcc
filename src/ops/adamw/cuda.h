#pragma once

#include "vim/ops/adamw.h"

namespace vim::ops::adamw {

// As adamw_step, whose checks the arguments have passed; float32.
at::Tensor step_on_cuda(const AdamWStep& step);

}  // namespace vim::ops::adamw
