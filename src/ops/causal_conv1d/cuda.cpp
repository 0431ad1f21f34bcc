#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "ops/causal_conv1d/cuda_kernel.h"
#include "ops/causal_conv1d/op.h"
#include "ops/cuda_support.h"

namespace vim::ops::conv {
namespace {

// The inputs in the layout of the kernels, and what keeps their memory.
struct Arguments {
  at::Tensor x, weight, bias;
  bool silu, reverse;

  Arguments(const at::Tensor& x_, const at::Tensor& weight_, const OptionalTensor& bias_,
            bool silu_, bool reverse_)
      : x(with_contiguous_rows(x_)), weight(weight_.contiguous()), silu(silu_), reverse(reverse_) {
    TORCH_CHECK(weight.size(1) <= cuda::kMaxTaps, "causal_conv1d: on a GPU it takes up to ",
                cuda::kMaxTaps, " taps, got ", weight.size(1));
    if (given(bias_)) bias = bias_->contiguous();
  }

  template <class T>
  cuda::Inputs<T> inputs() const {
    return {x.size(0),
            x.size(1),
            x.size(2),
            static_cast<int>(weight.size(1)),
            silu,
            /*branches=*/1,
            rows_of<const T>(x, reverse),
            {{weight.const_data_ptr<float>(), storage<const float>(bias)}}};
  }
};

at::Tensor forward(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias,
                   bool silu, bool reverse) {
  check_args(x, weight, bias);
  const c10::cuda::CUDAGuard guard(x.device());
  const Arguments args(x, weight, bias, silu, reverse);
  at::Tensor out = at::empty(x.sizes(), x.options());
  with_storage_type("causal_conv1d", x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    cuda::forward<T>({args.inputs<T>(), {rows_of<T>(out, reverse)}}, current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& grad_,
                                                        const at::Tensor& x,
                                                        const at::Tensor& weight,
                                                        const OptionalTensor& bias, bool silu,
                                                        bool reverse) {
  const c10::cuda::CUDAGuard guard(x.device());
  const Arguments args(x, weight, bias, silu, reverse);
  const at::Tensor grad = with_contiguous_rows(grad_);
  at::Tensor grad_x = at::empty(x.sizes(), x.options());
  at::Tensor grad_weight = at::empty(args.weight.sizes(), args.weight.options());
  at::Tensor grad_bias =
      args.bias.defined() ? at::empty(args.bias.sizes(), args.bias.options()) : at::Tensor();
  const at::Tensor workspace =
      at::empty({cuda::workspace_size(x.size(0), x.size(1), x.size(2), /*branches=*/1)},
                args.weight.options());
  with_storage_type("causal_conv1d", x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    cuda::backward<T>({args.inputs<T>(),
                       {rows_of<const T>(grad, reverse)},
                       rows_of<T>(grad_x, reverse),
                       {{storage<float>(grad_weight), storage<float>(grad_bias)}},
                       storage<float>(workspace)},
                      current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return {grad_x, grad_weight, grad_bias};
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, CUDA, m) {
  m.impl("causal_conv1d", forward);
  m.impl("_causal_conv1d_backward", backward);
}

}  // namespace vim::ops::conv
