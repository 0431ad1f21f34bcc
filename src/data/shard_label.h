// The label of a sample in a shard.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vim::data {

// A class's number or its name.
struct ShardLabel {
  std::string text;  // the number's digits
  bool is_number = false;
  auto operator<=>(const ShardLabel&) const = default;
};

// From the content of a member with that extension: `cls`, a number; `txt`, a number or a name;
// `json`, either, or an object that has it at "label" or "cls"; nothing where it has not. Throws
// Error with the reason alone.
std::optional<ShardLabel> parse_label(std::string_view extension, const std::string& content);

// The classes that labels stand for: names in the order of their bytes, or the numbers up to the
// largest. Throws Error with the reason alone.
struct ShardClasses {
  std::vector<std::string> names;
  std::map<ShardLabel, uint32_t> numbers;
};
ShardClasses classes_of(const std::vector<ShardLabel>& labels);

}  // namespace vim::data
