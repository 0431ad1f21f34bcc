#include "ops/causal_conv1d/op.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "ops/autograd.h"
#include "ops/check.h"

namespace vim::ops {

at::Tensor causal_conv1d(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias,
                         bool silu, bool reverse) {
  static const auto op = find_op<decltype(causal_conv1d)>("causal_conv1d");
  return op.call(x, weight, bias, silu, reverse);
}

namespace conv {

void check_args(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias) {
  constexpr const char* kOp = "causal_conv1d";
  TORCH_CHECK(x.dim() == 3, kOp, ": x must be [batch, length, channels], got ", x.sizes());
  TORCH_CHECK(weight.dim() == 2 && weight.size(1) >= 1, kOp,
              ": weight must be [channels, taps], got ", weight.sizes());
  check_parameter(kOp, "weight", weight, {x.size(2), weight.size(1)}, "[channels, taps]", x);
  check_parameter(kOp, "bias", bias, {x.size(2)}, "[channels]", x);
}

namespace {

using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

class CausalConv1d : public torch::autograd::Function<CausalConv1d> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const OptionalTensor& bias, bool silu, bool reverse) {
    context->save_for_backward({x, weight, bias.value_or(Variable())});
    context->saved_data["silu"] = silu;
    context->saved_data["reverse"] = reverse;
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return causal_conv1d(x, weight, bias, silu, reverse);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    static const auto op =
        find_op<Gradients(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                          const OptionalTensor&, bool, bool)>("_causal_conv1d_backward");
    const variable_list saved = context->get_saved_variables();
    auto [x, weight, bias] =
        op.call(grads[0], saved[0], saved[1], saved[2], context->saved_data["silu"].toBool(),
                context->saved_data["reverse"].toBool());
    return {x, weight, bias, Variable(), Variable()};
  }
};

at::Tensor autograd(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias,
                    bool silu, bool reverse) {
  if (needs_graph(x, weight, bias)) {
    return CausalConv1d::apply(x, weight, bias, silu, reverse);
  }
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return causal_conv1d(x, weight, bias, silu, reverse);
}

at::Tensor meta(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias,
                bool /*silu*/, bool /*reverse*/) {
  check_args(x, weight, bias);
  return at::empty(x.sizes(), x.options());
}

Gradients meta_backward(const at::Tensor& /*grad*/, const at::Tensor& x, const at::Tensor& weight,
                        const OptionalTensor& bias, bool /*silu*/, bool /*reverse*/) {
  return {at::empty(x.sizes(), x.options()), at::empty(weight.sizes(), weight.options()),
          bias.has_value() && bias->defined() ? at::empty(bias->sizes(), bias->options())
                                              : at::Tensor()};
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, Autograd, m) {
  m.impl("causal_conv1d", autograd);
}

TORCH_LIBRARY_IMPL(vim, Meta, m) {
  m.impl("causal_conv1d", meta);
  m.impl("_causal_conv1d_backward", meta_backward);
}

}  // namespace conv
}  // namespace vim::ops
