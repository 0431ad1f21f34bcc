// From tensors to the plain arguments of the kernels.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "ops/rows.h"

namespace vim::ops {

// Whether an optional argument is there.
inline bool given(const std::optional<at::Tensor>& tensor) {
  return tensor.has_value() && tensor->defined();
}

// The tensor itself where its last dimension is contiguous, else a copy.
inline at::Tensor with_contiguous_rows(const at::Tensor& tensor) {
  return tensor.stride(-1) == 1 || tensor.size(-1) <= 1 ? tensor : tensor.contiguous();
}

// [batch, length, n] as the kernels see it, in reverse order of tokens where asked. T is the
// storage type of the tensor's numbers, by whatever name.
template <class T>
Rows<T> rows_of(const at::Tensor& tensor, bool reverse) {
  using Value = std::remove_const_t<T>;
  Rows<T> rows{static_cast<Value*>(tensor.data_ptr()), tensor.stride(0), tensor.stride(1)};
  if (reverse && tensor.numel() > 0) {
    rows.data += (tensor.size(1) - 1) * rows.token_stride;
    rows.token_stride = -rows.token_stride;
  }
  return rows;
}

// The tensor's numbers, or null where it is absent. It must be contiguous.
template <class T>
const T* numbers(const std::optional<at::Tensor>& tensor) {
  return given(tensor) ? tensor->const_data_ptr<T>() : nullptr;
}

}  // namespace vim::ops
