// Named tensors and named texts: what every tensor file holds, whatever its format.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace vim::io {

struct TensorFile {
  using Tensors = std::map<std::string, at::Tensor>;
  Tensors tensors;
  std::map<std::string, std::string> metadata;
};

// Reads a safetensors or PyTorch file, told apart by its first bytes and not by its name. Tensors
// are on the CPU.
TensorFile read_tensors(const std::filesystem::path& path);

// Writes safetensors or PyTorch's zip format by the extension: .safetensors, or .pth and .pt. Whole
// or not at all (core/file.h).
void write_tensors(const std::filesystem::path& path, const TensorFile& content);

}  // namespace vim::io
