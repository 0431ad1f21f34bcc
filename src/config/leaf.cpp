#include "vim/config/leaf.h"

#include <charconv>
#include <cmath>

#include "number.h"
#include "vim/core/text.h"

namespace vim::config {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The text without a leading `+`, or "" where a digit is doubtful.
std::string_view unsigned_start(std::string_view text) {
  const std::string_view magnitude = text.substr(text.starts_with('+') || text.starts_with('-'));
  if (magnitude.empty() || (!is_digit(magnitude[0]) && magnitude[0] != '.')) return {};
  if (magnitude.size() > 1 && magnitude[0] == '0' && is_digit(magnitude[1])) return {};
  return text.starts_with('+') ? magnitude : text;
}

template <class T>
std::optional<T> parse(std::string_view text) {
  text = unsigned_start(text);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

bool is_plain_scalar(const Node& node) {
  return node.kind == Node::Kind::kScalar && !node.quoted;
}

// Whether YAML readers, ours and others, take the text for nothing but text.
bool needs_quotes(std::string_view text) {
  static constexpr std::string_view kWords[] = {"true", "false", "yes", "no", "on",
                                                "off",  "null",  "y",   "n"};
  static constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
  if (text.empty() || text.find_first_not_of(kSafe) != std::string_view::npos) return true;
  const bool path = text.starts_with("./") || text.starts_with("../");
  if (is_digit(text[0]) || text[0] == '-' || (text[0] == '.' && !path)) return true;
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return static_cast<char>(c | 32); });
  return std::ranges::find(kWords, lower) != std::end(kWords);
}

}  // namespace

std::optional<int64_t> to_whole(std::string_view text) {
  return parse<int64_t>(text);
}
std::optional<double> to_number(std::string_view text) {
  return parse<double>(text);
}

std::string from_number(double value) {
  const double magnitude = std::abs(value);
  const bool plain = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e15);
  char buffer[32];
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  std::string text(buffer, std::to_chars(buffer, std::end(buffer), value, format).ptr);
  // 1e-05 -> 1e-5, 1e+20 -> 1e20
  if (const size_t e = text.find('e'); e != std::string::npos) {
    if (text[e + 2] == '0') text.erase(e + 2, 1);
    if (text[e + 1] == '+') text.erase(e + 1, 1);
  }
  return text;
}

Node Node::scalar(std::string text) {
  Node node;
  node.kind = Kind::kScalar;
  node.text = std::move(text);
  return node;
}

Node Node::sequence(std::vector<Node> items) {
  Node node;
  node.kind = Kind::kSequence;
  node.items = std::move(items);
  return node;
}

std::string shown(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kSequence:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
    case Node::Kind::kScalar:
      break;
  }
  if (node.quoted) return concat("the quoted text '", node.text, "'");
  const size_t sign = node.text.starts_with('-') || node.text.starts_with('+');
  const bool digits =
      node.text.size() > sign && std::all_of(node.text.begin() + sign, node.text.end(), is_digit);
  const bool zeros = digits && node.text.size() > sign + 1 && node.text[sign] == '0';
  const char* remark = zeros                            ? " (a number has no leading zeros)"
                       : digits && !to_whole(node.text) ? " (beyond 64 bits)"
                                                        : "";
  return concat("'", node.text, "'", remark);
}

std::string one_of(std::span<const std::string> names) {
  if (names.size() < 2) return join(names, "");
  return concat(join(names.first(names.size() - 1), ", "), " or ", names.back());
}

std::string Leaf<bool>::kind() {
  return "true or false";
}
bool Leaf<bool>::read(const Node& node, bool& value) {
  value = node.is_plain("true");
  return value || node.is_plain("false");
}
Node Leaf<bool>::write(const bool& value) {
  return Node::scalar(value ? "true" : "false");
}

std::string Leaf<int64_t>::kind() {
  return "a whole number";
}
bool Leaf<int64_t>::read(const Node& node, int64_t& value) {
  const auto parsed = is_plain_scalar(node) ? to_whole(node.text) : std::nullopt;
  value = parsed.value_or(0);
  return parsed.has_value();
}
Node Leaf<int64_t>::write(const int64_t& value) {
  return Node::scalar(std::to_string(value));
}

std::string Leaf<double>::kind() {
  return "a number";
}
bool Leaf<double>::read(const Node& node, double& value) {
  const auto parsed = is_plain_scalar(node) ? to_number(node.text) : std::nullopt;
  value = parsed.value_or(0);
  return parsed.has_value();
}
Node Leaf<double>::write(const double& value) {
  return Node::scalar(from_number(value));
}

std::string Leaf<std::string>::kind() {
  return "text";
}
bool Leaf<std::string>::read(const Node& node, std::string& value) {
  value = node.text;
  return node.kind == Node::Kind::kScalar;
}
Node Leaf<std::string>::write(const std::string& value) {
  Node node = Node::scalar(value);
  node.quoted = needs_quotes(value);
  return node;
}

}  // namespace vim::config
