// The JSON header of a safetensors file: what it says of the tensors' bytes, believed only where
// it agrees with the file's size. Violations are thrown as Malformed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vim::io {

inline constexpr std::string_view kMetadataKey = "__metadata__";

// One tensor; `begin` and `end` count from the end of the header.
struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin;
  uint64_t end;
};

struct Header {
  std::vector<Entry> entries;  // in the order of their bytes, which they share out without gaps
  std::map<std::string, std::string> metadata;
};

// `data_size`: the bytes that follow the header.
Header parse_header(const std::string& text, uint64_t data_size);

// The metadata alone; the entries are not looked at.
std::map<std::string, std::string> parse_metadata(const std::string& text);

// "F32"; empty where the format has no name for the type.
std::string_view dtype_name(at::ScalarType type);

// "tensor 'x'", for messages.
std::string the_tensor(std::string_view name);

}  // namespace vim::io
