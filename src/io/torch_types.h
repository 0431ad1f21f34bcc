// The element types of PyTorch's files.
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <string_view>

namespace vim::io {

std::optional<at::ScalarType> type_of_storage(std::string_view name);  // "torch.FloatStorage"
std::optional<at::ScalarType> type_called(std::string_view name);      // "torch.float32"

// The class of storages of this type, "FloatStorage", or "" where PyTorch's files have none.
std::string_view storage_of_type(at::ScalarType type);

}  // namespace vim::io
