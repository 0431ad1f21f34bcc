// Tensor files in the safetensors format: 8 bytes of header length, a JSON header, the tensors'
// bytes. https://github.com/huggingface/safetensors#format
#pragma once

#include "vim/io/tensor_file.h"

namespace vim::io {

// Reads F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL. Trusts nothing: sizes are checked
// before anything is allocated, and every violation of the format is one Error that names the file
// and what is wrong. Tensors are contiguous and share nothing; the metadata are the header's
// `__metadata__`.
TensorFile read_safetensors(const std::filesystem::path& path);

// The metadata alone, from the header; the tensors are not looked at.
std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path);

// Whether the file begins with the very header that write_safetensors would give `content`.
bool has_written_header(const std::filesystem::path& path, const TensorFile& content);

// Writes whole or not at all (core/file.h); equal content gives equal bytes. Tensors may lie on any
// device and have any strides. Error where a dtype is none of the above or a text is not UTF-8.
void write_safetensors(const std::filesystem::path& path, const TensorFile& content);

}  // namespace vim::io
