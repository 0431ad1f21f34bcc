#include "ops/selective_scan/op.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "ops/autograd.h"
#include "ops/check.h"
#include "vim/ops/ops.h"

namespace vim::ops {

at::Tensor selective_scan(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                          const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                          const OptionalTensor& z, const OptionalTensor& delta_bias,
                          bool delta_softplus, bool reverse) {
  static const auto op = find_op<decltype(selective_scan)>("selective_scan");
  return op.call(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse);
}

namespace scan {

void check_args(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                const OptionalTensor& z, const OptionalTensor& delta_bias) {
  constexpr const char* kOp = "selective_scan";
  TORCH_CHECK(u.dim() == 3, kOp, ": u must be [batch, length, channels], got ", u.sizes());
  TORCH_CHECK(A.dim() == 2, kOp, ": A must be [channels, state], got ", A.sizes());
  const int64_t batch = u.size(0), length = u.size(1), channels = u.size(2), state = A.size(1);
  TORCH_CHECK(state >= 1, kOp, ": A must have at least one state, got ", A.sizes());
  check_tensor(kOp, "delta", delta, u.sizes(), "[batch, length, channels]", u);
  check_parameter(kOp, "A", A, {channels, state}, "[channels, state]", u);
  check_tensor(kOp, "B", B, {batch, length, state}, "[batch, length, state]", u);
  check_tensor(kOp, "C", C, {batch, length, state}, "[batch, length, state]", u);
  check_parameter(kOp, "D", D, {channels}, "[channels]", u);
  check_tensor(kOp, "z", z, u.sizes(), "[batch, length, channels]", u);
  check_parameter(kOp, "delta_bias", delta_bias, {channels}, "[channels]", u);
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

Pair run_forward(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                 const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                 const OptionalTensor& z, const OptionalTensor& delta_bias, bool delta_softplus,
                 bool reverse, bool keep_states) {
  static const auto op = find_op<decltype(run_forward)>("_selective_scan_forward");
  check_args(u, delta, A, B, C, D, z, delta_bias);
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return op.call(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse, keep_states);
}

class SelectiveScan : public torch::autograd::Function<SelectiveScan> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& u, const at::Tensor& delta,
                            const at::Tensor& A, const at::Tensor& B, const at::Tensor& C,
                            const OptionalTensor& D, const OptionalTensor& z,
                            const OptionalTensor& delta_bias, bool delta_softplus, bool reverse) {
    auto [out, states] = run_forward(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse,
                                     /*keep_states=*/true);
    context->save_for_backward({states, u, delta, A, B, C, D.value_or(Variable()),
                                z.value_or(Variable()), delta_bias.value_or(Variable())});
    context->saved_data["delta_softplus"] = delta_softplus;
    context->saved_data["reverse"] = reverse;
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    static const auto op = find_op<Gradients(
        const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
        const at::Tensor&, const at::Tensor&, const at::Tensor&, const OptionalTensor&,
        const OptionalTensor&, const OptionalTensor&, bool, bool)>("_selective_scan_backward");
    const variable_list saved = context->get_saved_variables();
    auto [u, delta, A, B, C, D, z, delta_bias] =
        op.call(grads[0], saved[0], saved[1], saved[2], saved[3], saved[4], saved[5], saved[6],
                saved[7], saved[8], context->saved_data["delta_softplus"].toBool(),
                context->saved_data["reverse"].toBool());
    return {u, delta, A, B, C, D, z, delta_bias, Variable(), Variable()};
  }
};

at::Tensor autograd(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                    const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                    const OptionalTensor& z, const OptionalTensor& delta_bias, bool delta_softplus,
                    bool reverse) {
  if (needs_graph(u, delta, A, B, C, D, z, delta_bias)) {
    return SelectiveScan::apply(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse);
  }
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return selective_scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse);
}

// The operator without a gradient, on any device.
at::Tensor by_parts(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                    const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                    const OptionalTensor& z, const OptionalTensor& delta_bias, bool delta_softplus,
                    bool reverse) {
  return std::get<0>(run_forward(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse,
                                 /*keep_states=*/false));
}

// The saved states are their device's affair, so that their shape says nothing here.
Pair meta_forward(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                  const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                  const OptionalTensor& z, const OptionalTensor& delta_bias,
                  bool /*delta_softplus*/, bool /*reverse*/, bool /*keep_states*/) {
  check_args(u, delta, A, B, C, D, z, delta_bias);
  return {at::empty(u.sizes(), u.options()), at::empty({0}, u.options())};
}

Gradients meta_backward(const at::Tensor& /*grad*/, const at::Tensor& /*states*/,
                        const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                        const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                        const OptionalTensor& z, const OptionalTensor& delta_bias,
                        bool /*delta_softplus*/, bool /*reverse*/) {
  const auto like = [](const OptionalTensor& tensor) {
    return tensor.has_value() && tensor->defined() ? at::empty(tensor->sizes(), tensor->options())
                                                   : at::Tensor();
  };
  return {like(u), like(delta), like(A), like(B), like(C), like(D), like(z), like(delta_bias)};
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, Autograd, m) {
  m.impl("selective_scan", autograd);
}

TORCH_LIBRARY_IMPL(vim, CompositeExplicitAutograd, m) {
  m.impl("selective_scan", by_parts);
}

TORCH_LIBRARY_IMPL(vim, Meta, m) {
  m.impl("_selective_scan_forward", meta_forward);
  m.impl("_selective_scan_backward", meta_backward);
}

}  // namespace scan
}  // namespace vim::ops
