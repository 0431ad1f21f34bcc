// What the operators' places in autograd have in common.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>

#include <optional>
#include <string>

namespace vim::ops {

// The autograd kernel of a `_backward` operator: runs it, and lets a derivative of its results fail
// with a sentence rather than be silently zero.
void once_differentiable(const c10::OperatorHandle& op, torch::jit::Stack* stack);

// The operator `vim::<name>`, called as `Signature`.
template <class Signature>
c10::TypedOperatorHandle<Signature> find_op(const char* name) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow((std::string("vim::") + name).c_str(), "")
      .typed<Signature>();
}

inline bool requires_grad(const at::Tensor& tensor) {
  return tensor.defined() && tensor.requires_grad();
}
inline bool requires_grad(const std::optional<at::Tensor>& tensor) {
  return tensor.has_value() && requires_grad(*tensor);
}

// Whether a call with these tensors has to be recorded.
template <class... Tensors>
bool needs_graph(const Tensors&... tensors) {
  return at::GradMode::is_enabled() && (requires_grad(tensors) || ...);
}

}  // namespace vim::ops
