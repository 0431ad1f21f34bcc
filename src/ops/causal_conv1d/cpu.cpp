#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "ops/causal_conv1d/cpu_kernel.h"
#include "ops/causal_conv1d/op.h"
#include "ops/cpu_support.h"

namespace vim::ops::conv {
namespace {

template <class T>
const Kernels<T>& kernels() {
  if constexpr (std::is_same_v<T, float>) {
    return VIM_CHOOSE_KERNELS(conv_f32);
  } else {
    return VIM_CHOOSE_KERNELS(conv_f64);
  }
}

// The inputs in the layout of the kernels, and what keeps their memory.
struct Arguments {
  at::Tensor x, weight, bias;
  bool silu, reverse;

  Arguments(const at::Tensor& x_, const at::Tensor& weight_, const OptionalTensor& bias_,
            bool silu_, bool reverse_)
      : x(with_contiguous_rows(x_)),
        weight(weight_.t().contiguous()),
        silu(silu_),
        reverse(reverse_) {
    if (given(bias_)) bias = bias_->contiguous();
  }

  template <class T>
  Inputs<T> inputs() const {
    return {x.size(1),
            x.size(2),
            weight.size(0),
            rows_of<const T>(x, reverse),
            weight.const_data_ptr<T>(),
            numbers<T>(bias),
            silu};
  }
  // Work items, and the steps that one takes, about.
  int64_t items(int lanes) const { return x.size(0) * ((x.size(2) + lanes - 1) / lanes); }
  int64_t cost(int lanes) const { return x.size(1) * lanes * (weight.size(0) + 4) / 8; }
};

at::Tensor forward(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias,
                   bool silu, bool reverse) {
  check_args(x, weight, bias);
  const Arguments args(x, weight, bias, silu, reverse);
  at::Tensor out = at::empty(x.sizes(), x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "causal_conv1d", [&] {
    const auto& kernel = kernels<scalar_t>();
    const Forward<scalar_t> work{args.inputs<scalar_t>(), rows_of<scalar_t>(out, reverse)};
    for_items<scalar_t>(
        args.items(kernel.lanes), args.cost(kernel.lanes), 0,
        [&](int64_t begin, int64_t end, scalar_t*) { kernel.forward(work, begin, end); });
  });
  return out;
}

using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

template <class T>
Gradients run_backward(const Arguments& args, const at::Tensor& grad) {
  const auto options = args.x.options();
  const int64_t batch = args.x.size(0), channels = args.x.size(2);
  const at::Tensor grad_x = at::empty(args.x.sizes(), options);
  const at::Tensor grad_weight = at::zeros({batch, args.weight.size(0), channels}, options);
  const at::Tensor grad_bias =
      args.bias.defined() ? at::zeros({batch, channels}, options) : at::Tensor();

  const auto& kernel = kernels<T>();
  const Backward<T> work{args.inputs<T>(), rows_of<const T>(grad, args.reverse),
                         rows_of<T>(grad_x, args.reverse), grad_weight.mutable_data_ptr<T>(),
                         grad_bias.defined() ? grad_bias.mutable_data_ptr<T>() : nullptr};
  for_items<T>(
      args.items(kernel.lanes), 3 * args.cost(kernel.lanes), kernel.backward_scratch(work.in),
      [&](int64_t begin, int64_t end, T* scratch) { kernel.backward(work, begin, end, scratch); });
  return {grad_x, sum_of_first<T>(grad_weight).t().contiguous(),
          grad_bias.defined() ? sum_of_first<T>(grad_bias) : at::Tensor()};
}

Gradients backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight,
                   const OptionalTensor& bias, bool silu, bool reverse) {
  const Arguments args(x, weight, bias, silu, reverse);
  return AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "causal_conv1d_backward", [&] {
    return run_backward<scalar_t>(args, with_contiguous_rows(grad));
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, CPU, m) {
  m.impl("causal_conv1d", forward);
  m.impl("_causal_conv1d_backward", backward);
}

}  // namespace vim::ops::conv
