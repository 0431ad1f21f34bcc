// Sentences for arguments that do not fit.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace vim::ops {

// One tensor argument against what its operator expects of it.
inline void check_tensor(const char* op, const char* name, const at::Tensor& tensor,
                         at::IntArrayRef sizes, const char* meaning, const at::Tensor& like,
                         bool may_be_float = false) {
  TORCH_CHECK(tensor.defined(), op, ": ", name, " is undefined");
  TORCH_CHECK(tensor.sizes() == sizes, op, ": ", name, " must be ", meaning, " = ", sizes, ", got ",
              tensor.sizes());
  TORCH_CHECK(tensor.scalar_type() == like.scalar_type() ||
                  (may_be_float && tensor.scalar_type() == at::kFloat),
              op, ": ", name, " must be ", like.scalar_type(), " as the first argument",
              may_be_float ? ", or Float" : "", ", got ", tensor.scalar_type());
  TORCH_CHECK(tensor.device() == like.device(), op, ": ", name, " must be on ", like.device(),
              " as the first argument, got ", tensor.device());
}
inline void check_tensor(const char* op, const char* name, const std::optional<at::Tensor>& tensor,
                         at::IntArrayRef sizes, const char* meaning, const at::Tensor& like,
                         bool may_be_float = false) {
  if (tensor.has_value() && tensor->defined())
    check_tensor(op, name, *tensor, sizes, meaning, like, may_be_float);
}

// Whether an operator's parameters may be float beside a first argument of half the width, as in
// mixed precision.
inline bool is_narrow(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16;
}

}  // namespace vim::ops
