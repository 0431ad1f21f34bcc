// Sentences for arguments that do not fit.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace vim::ops {

// Parameters stay in float32 beside activations in half precision.
inline at::ScalarType parameter_dtype(at::ScalarType activations) {
  return at::isReducedFloatingType(activations) ? at::kFloat : activations;
}

// One tensor argument against what its operator expects of it.
inline void check_tensor(const char* op, const char* name, const at::Tensor& tensor,
                         at::IntArrayRef sizes, const char* meaning, const at::Tensor& like,
                         at::ScalarType dtype) {
  TORCH_CHECK(tensor.defined(), op, ": ", name, " is undefined");
  TORCH_CHECK(tensor.sizes() == sizes, op, ": ", name, " must be ", meaning, " = ", sizes, ", got ",
              tensor.sizes());
  TORCH_CHECK(tensor.scalar_type() == dtype, op, ": ", name, " must be ", dtype,
              " beside a first argument of ", like.scalar_type(), ", got ", tensor.scalar_type());
  TORCH_CHECK(tensor.device() == like.device(), op, ": ", name, " must be on ", like.device(),
              " as the first argument, got ", tensor.device());
}
inline void check_tensor(const char* op, const char* name, const at::Tensor& tensor,
                         at::IntArrayRef sizes, const char* meaning, const at::Tensor& like) {
  check_tensor(op, name, tensor, sizes, meaning, like, like.scalar_type());
}
inline void check_tensor(const char* op, const char* name, const std::optional<at::Tensor>& tensor,
                         at::IntArrayRef sizes, const char* meaning, const at::Tensor& like) {
  if (tensor.has_value() && tensor->defined())
    check_tensor(op, name, *tensor, sizes, meaning, like);
}
inline void check_parameter(const char* op, const char* name, const at::Tensor& tensor,
                            at::IntArrayRef sizes, const char* meaning, const at::Tensor& like) {
  check_tensor(op, name, tensor, sizes, meaning, like, parameter_dtype(like.scalar_type()));
}
inline void check_parameter(const char* op, const char* name,
                            const std::optional<at::Tensor>& tensor, at::IntArrayRef sizes,
                            const char* meaning, const at::Tensor& like) {
  if (tensor.has_value() && tensor->defined())
    check_parameter(op, name, *tensor, sizes, meaning, like);
}

}  // namespace vim::ops
