#include "vim/config/rule.h"

#include <algorithm>
#include <cmath>

#include "number.h"
#include "vim/config/node.h"
#include "vim/core/text.h"

namespace vim::config {

std::string with_rule(std::string_view kind, const Rule& rule) {
  const bool low = std::isfinite(rule.minimum), high = std::isfinite(rule.maximum);
  if (rule.not_empty) return concat(kind, ", not empty");
  if (low && high && !rule.exclusive_minimum && !rule.exclusive_maximum) {
    return concat(kind, " from ", from_number(rule.minimum), " to ", from_number(rule.maximum));
  }
  std::string text(kind);
  if (low) text += concat(rule.exclusive_minimum ? " > " : " >= ", from_number(rule.minimum));
  if (low && high) text += " and";
  if (high) text += concat(rule.exclusive_maximum ? " < " : " <= ", from_number(rule.maximum));
  return text;
}

bool keeps(const Node& written, const Rule& rule) {
  if (written.is_sequence()) {
    return std::ranges::all_of(written.items, [&](const Node& item) { return keeps(item, rule); });
  }
  if (rule.not_empty) return !written.text.empty();
  const double value = to_number(written.text).value_or(0);
  const bool bounded = std::isfinite(rule.minimum) || std::isfinite(rule.maximum);
  if (!bounded) return true;
  return (rule.exclusive_minimum ? value > rule.minimum : value >= rule.minimum) &&
         (rule.exclusive_maximum ? value < rule.maximum : value <= rule.maximum);
}

}  // namespace vim::config
