#pragma once

#include <tuple>

#include "vim/ops/ops.h"

namespace vim::ops::norm {

// Throws a sentence where shapes, dtypes or devices do not belong together. For every device.
void check_args(const at::Tensor& x, const OptionalTensor& residual, const at::Tensor& weight);

// y, the sum, and for the backward pass the normalised sum before the weight, in the type of x, and
// its factor [...]. Without a residual the sum is empty, and the last two where they are not kept.
using Forwarded = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

// Of x, of the residual (undefined where it is that of x), of weight.
using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

}  // namespace vim::ops::norm
