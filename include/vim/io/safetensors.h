// Tensor files in the safetensors format: 8 bytes of header length, a JSON header, the tensors' bytes.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace vim::io {

struct TensorFile {
  std::map<std::string, at::Tensor> tensors;    // on the CPU, contiguous
  std::map<std::string, std::string> metadata;  // the header's `__metadata__`
};

// Trusts nothing: sizes are checked before anything is allocated, and every violation of the format is one
// Error that names the file and what is wrong.
TensorFile read_safetensors(const std::filesystem::path& path);

// Writes whole or not at all (core/file.h). Tensors may lie on any device and have any strides.
void write_safetensors(const std::filesystem::path& path, const TensorFile& content);

}  // namespace vim::io
