#pragma once

#include "vim/ops/ops.h"

namespace vim::ops::conv {

// Throws a sentence where shapes, dtypes or devices do not belong together. For every device.
void check_args(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias);

}  // namespace vim::ops::conv
