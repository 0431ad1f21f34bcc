// Sentences for arguments that do not fit.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace vim::ops {

// One tensor argument against what its operator expects of it.
inline void check_tensor(const char* op, const char* name, const at::Tensor& tensor,
                         at::IntArrayRef sizes, const char* meaning, const at::Tensor& like) {
  TORCH_CHECK(tensor.defined(), op, ": ", name, " is undefined");
  TORCH_CHECK(tensor.sizes() == sizes, op, ": ", name, " must be ", meaning, " = ", sizes, ", got ",
              tensor.sizes());
  TORCH_CHECK(tensor.scalar_type() == like.scalar_type(), op, ": ", name, " must be ",
              like.scalar_type(), " as the first argument, got ", tensor.scalar_type());
  TORCH_CHECK(tensor.device() == like.device(), op, ": ", name, " must be on ", like.device(),
              " as the first argument, got ", tensor.device());
}
inline void check_tensor(const char* op, const char* name, const std::optional<at::Tensor>& tensor,
                         at::IntArrayRef sizes, const char* meaning, const at::Tensor& like) {
  if (tensor.has_value() && tensor->defined())
    check_tensor(op, name, *tensor, sizes, meaning, like);
}

}  // namespace vim::ops
