#pragma once

#include "vim/ops/ops.h"

namespace vim::ops::scan {

// Throws a sentence where shapes, dtypes or devices do not belong together. For every device.
void check_args(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                const OptionalTensor& z, const OptionalTensor& delta_bias);

}  // namespace vim::ops::scan
