#pragma once

#include "vim/ops/ops.h"

namespace vim::ops::norm {

// Throws a sentence where shapes, dtypes or devices do not belong together. For every device.
void check_args(const at::Tensor& x, const OptionalTensor& residual, const at::Tensor& weight);

}  // namespace vim::ops::norm
