// Bounds on a field, checked on the value that remains after the last layer, defaults included.
#pragma once

#include <limits>
#include <string>
#include <string_view>

namespace vim::config {

struct Node;

// For a list or an optional: what holds for each value.
struct Rule {
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool exclusive_minimum = false;
  bool exclusive_maximum = false;
  bool not_empty = false;  // of a text: it has to be set
};

inline constexpr Rule any{};
inline constexpr Rule positive{.minimum = 0, .exclusive_minimum = true};
inline constexpr Rule fraction{.minimum = 0, .maximum = 1};                              // [0, 1]
inline constexpr Rule below_one{.minimum = 0, .maximum = 1, .exclusive_maximum = true};  // [0, 1)
inline constexpr Rule not_empty{.not_empty = true};
constexpr Rule at_least(double minimum) {
  return {.minimum = minimum};
}
constexpr Rule between(double minimum, double maximum) {
  return {.minimum = minimum, .maximum = maximum};
}

// ("a number", positive) -> "a number > 0"
std::string with_rule(std::string_view kind, const Rule& rule);

// Whether a leaf, as written, keeps the rule.
bool keeps(const Node& written, const Rule& rule);

}  // namespace vim::config
