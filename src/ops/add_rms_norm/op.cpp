#include "ops/add_rms_norm/op.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "ops/autograd.h"
#include "ops/check.h"

namespace vim::ops {
namespace {

using Pair = std::tuple<at::Tensor, at::Tensor>;

Pair call_add_rms_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                       double eps) {
  static const auto op = find_op<decltype(call_add_rms_norm)>("add_rms_norm");
  return op.call(x, residual, weight, eps);
}

}  // namespace

// Without a residual the sum is x itself, which an operator could not return without a copy.
Pair add_rms_norm(const at::Tensor& x, const OptionalTensor& residual, const at::Tensor& weight,
                  double eps) {
  if (residual.has_value() && residual->defined()) {
    return call_add_rms_norm(x, *residual, weight, eps);
  }
  return {rms_norm(x, weight, eps), x};
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  static const auto op = find_op<decltype(rms_norm)>("rms_norm");
  return op.call(x, weight, eps);
}

namespace norm {

void check_args(const at::Tensor& x, const OptionalTensor& residual, const at::Tensor& weight) {
  constexpr const char* kOp = "rms_norm";
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) >= 1, kOp, ": x must be [..., channels], got ", x.sizes());
  check_parameter(kOp, "residual", residual, x.sizes(), "the shape of x", x);
  check_parameter(kOp, "weight", weight, {x.size(-1)}, "[channels]", x);
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::Variable;
using torch::autograd::variable_list;

Forwarded run_forward(const at::Tensor& x, const OptionalTensor& residual, const at::Tensor& weight,
                      double eps, bool keep) {
  static const auto op = find_op<decltype(run_forward)>("_rms_norm_forward");
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return op.call(x, residual, weight, eps, keep);
}

Gradients run_backward(const at::Tensor& grad_y, const OptionalTensor& grad_sum,
                       const at::Tensor& normed, const at::Tensor& weight, const at::Tensor& scale,
                       bool residual) {
  static const auto op = find_op<decltype(run_backward)>("_rms_norm_backward");
  return op.call(grad_y, grad_sum, normed, weight, scale, residual);
}

class RmsNorm : public Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double eps) {
    auto [y, sum, normed, scale] = run_forward(x, std::nullopt, weight, eps, /*keep=*/true);
    context->save_for_backward({normed, weight, scale});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    auto [x, residual, weight] =
        run_backward(grads[0], std::nullopt, saved[0], saved[1], saved[2], /*residual=*/false);
    return {x, weight, Variable()};
  }
};

class AddRmsNorm : public Function<AddRmsNorm> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& x,
                               const at::Tensor& residual, const at::Tensor& weight, double eps) {
    auto [y, sum, normed, scale] = run_forward(x, residual, weight, eps, /*keep=*/true);
    context->save_for_backward({normed, weight, scale});
    context->set_materialize_grads(false);
    return {y, sum};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor grad_y = grads[0].defined() ? grads[0] : at::zeros_like(saved[0]);
    auto [x, residual, weight] =
        run_backward(grad_y, grads[1], saved[0], saved[1], saved[2], /*residual=*/true);
    return {x, residual.defined() ? residual : x, weight, Variable()};
  }
};

Pair autograd_add(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                  double eps) {
  if (needs_graph(x, residual, weight)) {
    const variable_list out = AddRmsNorm::apply(x, residual, weight, eps);
    return {out[0], out[1]};
  }
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return call_add_rms_norm(x, residual, weight, eps);
}

at::Tensor autograd(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (needs_graph(x, weight)) return RmsNorm::apply(x, weight, eps);
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return rms_norm(x, weight, eps);
}

// The public operators without a gradient, on any device.
Pair add_by_parts(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                  double eps) {
  auto [y, sum, normed, scale] = run_forward(x, residual, weight, eps, /*keep=*/false);
  return {y, sum};
}
at::Tensor by_parts(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return std::get<0>(run_forward(x, std::nullopt, weight, eps, /*keep=*/false));
}

Forwarded meta_forward(const at::Tensor& x, const OptionalTensor& residual,
                       const at::Tensor& weight, double /*eps*/, bool keep) {
  check_args(x, residual, weight);
  const at::IntArrayRef none = {0};
  return {
      at::empty(x.sizes(), x.options()),
      at::empty(residual.has_value() && residual->defined() ? x.sizes() : none, weight.options()),
      at::empty(keep ? x.sizes() : none, x.options()),
      at::empty(keep ? x.sizes().slice(0, x.dim() - 1) : none, weight.options())};
}

Gradients meta_backward(const at::Tensor& /*grad_y*/, const OptionalTensor& /*grad_sum*/,
                        const at::Tensor& normed, const at::Tensor& weight,
                        const at::Tensor& /*scale*/, bool residual) {
  const bool two = residual && normed.scalar_type() != weight.scalar_type();
  return {at::empty(normed.sizes(), normed.options()),
          two ? at::empty(normed.sizes(), weight.options()) : at::Tensor(),
          at::empty(weight.sizes(), weight.options())};
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, Autograd, m) {
  m.impl("add_rms_norm", autograd_add);
  m.impl("rms_norm", autograd);
}

TORCH_LIBRARY_IMPL(vim, CompositeExplicitAutograd, m) {
  m.impl("add_rms_norm", add_by_parts);
  m.impl("rms_norm", by_parts);
}

TORCH_LIBRARY_IMPL(vim, Meta, m) {
  m.impl("_rms_norm_forward", meta_forward);
  m.impl("_rms_norm_backward", meta_backward);
}

}  // namespace norm
}  // namespace vim::ops
