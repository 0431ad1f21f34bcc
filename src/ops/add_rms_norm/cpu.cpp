#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "ops/add_rms_norm/cpu_kernel.h"
#include "ops/add_rms_norm/op.h"
#include "ops/cpu_support.h"

namespace vim::ops::norm {
namespace {

template <class T>
const Kernels<T>& kernels() {
  if constexpr (std::is_same_v<T, float>) {
    return VIM_CHOOSE_KERNELS(norm_f32);
  } else {
    return VIM_CHOOSE_KERNELS(norm_f64);
  }
}

Forwarded forward(const at::Tensor& x_, const OptionalTensor& residual_, const at::Tensor& weight_,
                  double eps, bool keep) {
  check_args(x_, residual_, weight_);
  const bool added = given(residual_);
  const at::Tensor x = x_.contiguous(), weight = weight_.contiguous();
  const at::Tensor residual = added ? residual_->contiguous() : at::Tensor();
  at::Tensor y = at::empty(x.sizes(), x.options());
  at::Tensor sum = at::empty(added ? x.sizes() : at::IntArrayRef({0}), x.options());
  at::Tensor normed = at::empty(keep ? x.sizes() : at::IntArrayRef({0}), x.options());
  at::Tensor scale =
      at::empty(keep ? x.sizes().slice(0, x.dim() - 1) : at::IntArrayRef({0}), x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "rms_norm", [&] {
    const auto& kernel = kernels<scalar_t>();
    const Forward<scalar_t> work{x.numel() / x.size(-1),
                                 x.size(-1),
                                 x.const_data_ptr<scalar_t>(),
                                 numbers<scalar_t>(residual),
                                 weight.const_data_ptr<scalar_t>(),
                                 static_cast<scalar_t>(eps),
                                 y.mutable_data_ptr<scalar_t>(),
                                 sum.mutable_data_ptr<scalar_t>(),
                                 keep ? normed.mutable_data_ptr<scalar_t>() : nullptr,
                                 keep ? scale.mutable_data_ptr<scalar_t>() : nullptr};
    for_items<scalar_t>(
        work.rows, work.channels / 4, 0,
        [&](int64_t begin, int64_t end, scalar_t*) { kernel.forward(work, begin, end); });
  });
  return {y, sum, normed, scale};
}

Gradients backward(const at::Tensor& grad_y_, const OptionalTensor& grad_sum_,
                   const at::Tensor& normed, const at::Tensor& weight_, const at::Tensor& scale,
                   bool /*residual*/) {
  const at::Tensor grad_y = grad_y_.contiguous(), weight = weight_.contiguous();
  const at::Tensor grad_sum = given(grad_sum_) ? grad_sum_->contiguous() : at::Tensor();
  const int64_t rows = scale.numel(), blocks = (rows + kRowBlock - 1) / kRowBlock;
  at::Tensor grad_x = at::empty(normed.sizes(), normed.options());
  at::Tensor grad_weight = at::zeros({blocks, normed.size(-1)}, normed.options());
  return AT_DISPATCH_FLOATING_TYPES(normed.scalar_type(), "rms_norm_backward", [&] {
    const auto& kernel = kernels<scalar_t>();
    const Backward<scalar_t> work{rows,
                                  normed.size(-1),
                                  grad_y.const_data_ptr<scalar_t>(),
                                  numbers<scalar_t>(grad_sum),
                                  normed.const_data_ptr<scalar_t>(),
                                  weight.const_data_ptr<scalar_t>(),
                                  scale.const_data_ptr<scalar_t>(),
                                  grad_x.mutable_data_ptr<scalar_t>(),
                                  grad_weight.mutable_data_ptr<scalar_t>()};
    for_items<scalar_t>(
        blocks, kRowBlock * work.channels / 2, 0,
        [&](int64_t begin, int64_t end, scalar_t*) { kernel.backward(work, begin, end); });
    return std::make_tuple(grad_x, at::Tensor(), sum_of_first<scalar_t>(grad_weight));
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, CPU, m) {
  m.impl("_rms_norm_forward", forward);
  m.impl("_rms_norm_backward", backward);
}

}  // namespace vim::ops::norm
