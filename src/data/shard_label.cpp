#include "data/shard_label.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::data {
namespace {

constexpr uint32_t kMaxLabel = 9'999'999;
constexpr size_t kMaxName = 256;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::optional<uint32_t> number_in(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string shown(std::string_view text) {
  constexpr size_t kMost = 40;
  std::string part(text.substr(0, kMost));
  std::ranges::replace_if(
      part, [](unsigned char c) { return c < ' '; }, '?');
  return concat("'", part, text.size() > kMost ? "...'" : "'");
}

ShardLabel number(uint32_t value) {
  if (value > kMaxLabel) throw Error(concat("the label ", value, " is above ", kMaxLabel));
  return {std::to_string(value), true};
}

ShardLabel number_or_name(std::string_view text) {
  constexpr std::string_view kForbidden("\n\0", 2);
  if (const auto value = number_in(text)) return number(*value);
  if (text.empty() || text.size() > kMaxName || text.find_first_of(kForbidden) != text.npos) {
    throw Error(concat("the label ", shown(text), " is neither a number nor the name of a class"));
  }
  return {std::string(text), false};
}

std::optional<ShardLabel> label_in_json(const std::string& content) {
  const auto json = nlohmann::json::parse(content, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) throw Error("is no JSON");
  const nlohmann::json* value = &json;
  if (json.is_object()) {
    const auto found = json.contains("label") ? json.find("label") : json.find("cls");
    if (found == json.end()) return std::nullopt;
    value = &*found;
  }
  if (value->is_string()) return number_or_name(trimmed(value->get_ref<const std::string&>()));
  if (value->is_number_unsigned()) {
    return number(
        static_cast<uint32_t>(std::min<uint64_t>(value->get<uint64_t>(), uint64_t{kMaxLabel} + 1)));
  }
  throw Error("its label is neither a whole number from 0 on nor the name of a class");
}

}  // namespace

std::optional<ShardLabel> parse_label(std::string_view extension, const std::string& content) {
  if (extension == "json") return label_in_json(content);
  const std::string_view text = trimmed(content);
  if (extension == "txt") return number_or_name(text);
  const auto value = number_in(text);
  if (!value) throw Error(concat("the label ", shown(text), " is no whole number from 0 on"));
  return number(*value);
}

ShardClasses classes_of(const std::vector<ShardLabel>& labels) {
  const std::set<ShardLabel> distinct(labels.begin(), labels.end());
  const auto is_number = [](const ShardLabel& label) { return label.is_number; };
  const auto numbers = std::ranges::count_if(distinct, is_number);
  if (numbers != 0 && numbers != std::ssize(distinct)) {
    const auto number = std::ranges::find_if(distinct, is_number);
    const auto name = std::ranges::find_if_not(distinct, is_number);
    throw Error(concat("some labels are numbers (", number->text, ") and some are names (",
                       name->text, "); write all of them in one way"));
  }
  ShardClasses classes;
  for (const ShardLabel& label : distinct) {
    if (!label.is_number) {
      classes.numbers[label] = static_cast<uint32_t>(classes.names.size());
      classes.names.push_back(label.text);
      continue;
    }
    const uint32_t value = *number_in(label.text);
    classes.numbers[label] = value;
    while (classes.names.size() <= value) {
      classes.names.push_back(std::to_string(classes.names.size()));
    }
  }
  return classes;
}

}  // namespace vim::data
