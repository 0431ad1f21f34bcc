#pragma once

#include "vim/ops/adamw.h"

namespace vim::ops::adamw {

// As gradient_norm, whose gradients are all defined, and adamw_step, whose checks the arguments
// have passed; float32.
at::Tensor norm_on_cuda(const std::vector<at::Tensor>& gradients, const at::Tensor& loss_scale,
                        const at::Tensor& overflow);
void step_on_cuda(const AdamWStep& step);

}  // namespace vim::ops::adamw
