#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "ops/add_rms_norm/cuda_kernel.h"
#include "ops/add_rms_norm/op.h"
#include "ops/cuda_support.h"

namespace vim::ops::norm {
namespace {

void check_channels(int64_t channels) {
  TORCH_CHECK(channels <= cuda::kMaxChannels, "rms_norm: on a GPU it takes up to ",
              cuda::kMaxChannels, " channels, got ", channels);
}

Forwarded forward(const at::Tensor& x_, const OptionalTensor& residual_, const at::Tensor& weight_,
                  double eps, bool keep) {
  check_args(x_, residual_, weight_);
  check_channels(x_.size(-1));
  const c10::cuda::CUDAGuard guard(x_.device());
  const bool added = given(residual_);
  const at::Tensor x = x_.contiguous(), weight = weight_.contiguous();
  const at::Tensor residual = added ? residual_->contiguous() : at::Tensor();
  at::Tensor y = at::empty(x.sizes(), x.options());
  at::Tensor sum = at::empty(added ? x.sizes() : at::IntArrayRef({0}), weight.options());
  at::Tensor normed = at::empty(keep ? x.sizes() : at::IntArrayRef({0}), x.options());
  at::Tensor scale =
      at::empty(keep ? x.sizes().slice(0, x.dim() - 1) : at::IntArrayRef({0}), weight.options());
  with_storage_type("rms_norm", x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    cuda::forward<T>(
        {x.numel() / x.size(-1), x.size(-1), storage<const T>(x), storage<const float>(residual),
         storage<const float>(weight), static_cast<float>(eps), storage<T>(y), storage<float>(sum),
         storage<T>(normed), storage<float>(scale)},
        current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return {y, sum, normed, scale};
}

Gradients backward(const at::Tensor& grad_y_, const OptionalTensor& grad_sum_,
                   const at::Tensor& normed, const at::Tensor& weight_, const at::Tensor& scale,
                   bool residual) {
  const c10::cuda::CUDAGuard guard(normed.device());
  const at::Tensor grad_y = grad_y_.contiguous(), weight = weight_.contiguous();
  const at::Tensor grad_sum = given(grad_sum_) ? grad_sum_->contiguous() : at::Tensor();
  const int64_t rows = scale.numel(), channels = normed.size(-1);
  at::Tensor grad_x = at::empty(normed.sizes(), normed.options());
  at::Tensor grad_residual, grad_weight = at::empty({channels}, weight.options());
  if (residual && normed.scalar_type() != weight.scalar_type()) {
    grad_residual = at::empty(normed.sizes(), weight.options());
  }
  const at::Tensor workspace = at::empty({cuda::workspace_size(rows, channels)}, weight.options());
  with_storage_type("rms_norm", normed.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    cuda::backward<T>(
        {rows, channels, storage<const T>(grad_y), storage<const float>(grad_sum),
         storage<const T>(normed), storage<const float>(weight), storage<const float>(scale),
         storage<T>(grad_x), storage<float>(grad_residual), storage<float>(grad_weight),
         storage<float>(workspace)},
        current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return {grad_x, grad_residual, grad_weight};
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, CUDA, m) {
  m.impl("_rms_norm_forward", forward);
  m.impl("_rms_norm_backward", backward);
}

}  // namespace vim::ops::norm
