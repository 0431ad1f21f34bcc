#pragma once

#include <tuple>

#include "ops/tensors.h"
#include "vim/ops/ops.h"

namespace vim::ops::scan {

// The inputs with contiguous rows, whose memory they keep; absent ones are undefined.
struct Arguments {
  at::Tensor u, delta, A, B, C, D, z, delta_bias;
  bool delta_softplus, reverse;

  Arguments(const at::Tensor& u_, const at::Tensor& delta_, const at::Tensor& A_,
            const at::Tensor& B_, const at::Tensor& C_, const OptionalTensor& D_,
            const OptionalTensor& z_, const OptionalTensor& delta_bias_, bool delta_softplus_,
            bool reverse_)
      : u(with_contiguous_rows(u_)),
        delta(with_contiguous_rows(delta_)),
        A(A_.contiguous()),
        B(with_contiguous_rows(B_)),
        C(with_contiguous_rows(C_)),
        delta_softplus(delta_softplus_),
        reverse(reverse_) {
    if (given(D_)) D = D_->contiguous();
    if (given(z_)) z = with_contiguous_rows(*z_);
    if (given(delta_bias_)) delta_bias = delta_bias_->contiguous();
  }
};

using Pair = std::tuple<at::Tensor, at::Tensor>;  // the result, and what the backward pass needs
using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor,
                             at::Tensor, at::Tensor>;

// Throws a sentence where shapes, dtypes or devices do not belong together. For every device.
void check_args(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                const OptionalTensor& z, const OptionalTensor& delta_bias);

}  // namespace vim::ops::scan
