#pragma once

#include <ATen/core/Tensor.h>

namespace vim::ops::both {

// As the functions of vim/ops/both_directions.h; every tensor is contiguous.
at::Tensor cuda_scans(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                      const at::Tensor& B, const at::Tensor& C, const at::Tensor& D,
                      const at::Tensor& z, const at::Tensor& delta_bias, double scale);
at::Tensor cuda_convolutions(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace vim::ops::both
