// What the targets for tensor files share.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "vim/io/tensor_file.h"

namespace vim::fuzz {

// Reads every byte that the tensors claim to have.
inline void touch(const io::TensorFile& file) {
  volatile uint64_t sum = 0;
  for (const auto& [name, tensor] : file.tensors) {
    if (tensor.numel() > (1 << 20)) continue;  // strides of 0 make much of little
    const at::Tensor whole = tensor.contiguous();
    const auto* bytes = static_cast<const unsigned char*>(whole.const_data_ptr());
    for (size_t i = 0; i < whole.nbytes(); ++i) sum = sum + bytes[i];
  }
}

}  // namespace vim::fuzz
