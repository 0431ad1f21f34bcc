// Every operator of this project. A public operator is differentiable; the pair of `_forward` and
// `_backward` under it does the work and is registered for each device. A new one: its schema here,
// its folder beside (op.cpp: checks, shapes, autograd; cpu.cpp; cuda.cpp), its function in
// vim/ops/ops.h.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <array>

#include "ops/autograd.h"
#include "vim/ops/ops.h"

TORCH_LIBRARY(vim, m) {
  m.def(
      "selective_scan(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z, "
      "Tensor? delta_bias, bool delta_softplus, bool reverse) -> Tensor");
  m.def(
      "_selective_scan_forward(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, "
      "Tensor? z, Tensor? delta_bias, bool delta_softplus, bool reverse, bool keep_states) "
      "-> (Tensor out, Tensor states)");
  m.def(
      "_selective_scan_backward(Tensor grad, Tensor states, Tensor u, Tensor delta, Tensor A, "
      "Tensor B, Tensor C, Tensor? D, Tensor? z, Tensor? delta_bias, bool delta_softplus, "
      "bool reverse) -> (Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor D, Tensor z, "
      "Tensor delta_bias)");

  m.def("causal_conv1d(Tensor x, Tensor weight, Tensor? bias, bool silu, bool reverse) -> Tensor");
  m.def(
      "_causal_conv1d_backward(Tensor grad, Tensor x, Tensor weight, Tensor? bias, bool silu, "
      "bool reverse) -> (Tensor x, Tensor weight, Tensor bias)");

  m.def("add_rms_norm(Tensor x, Tensor residual, Tensor weight, float eps) -> (Tensor, Tensor)");
  m.def("rms_norm(Tensor x, Tensor weight, float eps) -> Tensor");
  m.def(
      "_rms_norm_forward(Tensor x, Tensor? residual, Tensor weight, float eps, bool keep) "
      "-> (Tensor y, Tensor sum, Tensor normed, Tensor scale)");
  m.def(
      "_rms_norm_backward(Tensor grad_y, Tensor? grad_sum, Tensor normed, Tensor weight, Tensor "
      "scale, bool residual) -> (Tensor x, Tensor residual, Tensor weight)");

  // A branch's tensors are those of MixerBranch, in its order.
  m.def(
      "bidirectional_mixer(Tensor tokens, Tensor in_proj, Tensor[] forward, Tensor[] backward, "
      "Tensor out_proj, bool average, bool recompute) -> Tensor");
}

TORCH_LIBRARY_IMPL(vim, Autograd, m) {
  using torch::CppFunction;
  for (const char* name :
       {"_selective_scan_backward", "_causal_conv1d_backward", "_rms_norm_backward"}) {
    m.impl(name, CppFunction::makeFromBoxedFunction<&vim::ops::once_differentiable>());
  }
}

namespace vim::ops {

at::Tensor bidirectional_mixer(const at::Tensor& tokens, const at::Tensor& in_proj,
                               const MixerBranch& forward, const MixerBranch& backward,
                               const at::Tensor& out_proj, bool average, bool recompute) {
  using Signature = at::Tensor(const at::Tensor&, const at::Tensor&, at::TensorList, at::TensorList,
                               const at::Tensor&, bool, bool);
  static const auto op = find_op<Signature>("bidirectional_mixer");
  const auto list = [](const MixerBranch& b) {
    return std::array{b.conv_weight, b.conv_bias, b.x_proj, b.dt_proj, b.delta_bias, b.A_log, b.D};
  };
  return op.call(tokens, in_proj, list(forward), list(backward), out_proj, average, recompute);
}

bool supports(at::DeviceType device) {
  const c10::DispatchKey key =
      c10::computeDispatchKey(at::kFloat, at::kStrided, c10::Device(device));
  for (const char* name :
       {"vim::_selective_scan_forward", "vim::_selective_scan_backward", "vim::causal_conv1d",
        "vim::_causal_conv1d_backward", "vim::_rms_norm_forward", "vim::_rms_norm_backward"}) {
    const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
    if (!op.hasKernelForDispatchKey(key)) return false;
  }
  return true;
}

}  // namespace vim::ops
