#include "io/torch_types.h"

#include <algorithm>
#include <array>

namespace vim::io {
namespace {

struct Type {
  at::ScalarType type;
  std::string_view storage;
  std::string_view name;
};
constexpr std::array kTypes = {
    Type{at::kDouble, "DoubleStorage", "float64"},
    Type{at::kFloat, "FloatStorage", "float32"},
    Type{at::kHalf, "HalfStorage", "float16"},
    Type{at::kBFloat16, "BFloat16Storage", "bfloat16"},
    Type{at::kLong, "LongStorage", "int64"},
    Type{at::kInt, "IntStorage", "int32"},
    Type{at::kShort, "ShortStorage", "int16"},
    Type{at::kChar, "CharStorage", "int8"},
    Type{at::kByte, "ByteStorage", "uint8"},
    Type{at::kBool, "BoolStorage", "bool"},
    Type{at::kComplexFloat, "ComplexFloatStorage", "complex64"},
    Type{at::kComplexDouble, "ComplexDoubleStorage", "complex128"},
};
constexpr std::string_view kModule = "torch.";

std::optional<at::ScalarType> find(std::string_view name, std::string_view Type::*field) {
  if (!name.starts_with(kModule)) return std::nullopt;
  const auto found = std::ranges::find(kTypes, name.substr(kModule.size()), field);
  if (found == kTypes.end()) return std::nullopt;
  return found->type;
}

}  // namespace

std::optional<at::ScalarType> type_of_storage(std::string_view name) {
  return find(name, &Type::storage);
}

std::optional<at::ScalarType> type_called(std::string_view name) {
  return find(name, &Type::name);
}

std::string_view storage_of_type(at::ScalarType type) {
  const auto found = std::ranges::find(kTypes, type, &Type::type);
  return found == kTypes.end() ? "" : found->storage;
}

}  // namespace vim::io
