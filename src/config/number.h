// Numbers as text, independent of the locale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vim::config {

// Decimal only: no `010`, which older YAML reads as 8, no `0x8`, no `1_000`, and nothing infinite.
std::optional<int64_t> to_whole(std::string_view text);
std::optional<double> to_number(std::string_view text);

// The shortest text that reads back as the same number.
std::string from_number(double value);

}  // namespace vim::config
