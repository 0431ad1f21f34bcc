#include <algorithm>

#include "vim/config/config.h"
#include "vim/core/text.h"

namespace vim::config {
namespace {

// In double quotes, with everything escaped that YAML would fold or drop.
std::string quote(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += concat("\\", c);
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += concat("\\x", kDigits[byte >> 4], kDigits[byte & 15]);
    } else if (text.substr(i).starts_with("${")) {
      quoted += "$$";  // config/config.h
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string flow(const Node& node) {
  std::vector<std::string> parts;
  switch (node.kind) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kScalar:
      return node.quoted ? quote(node.text) : node.text;
    case Node::Kind::kSequence:
      for (const Node& item : node.items) parts.push_back(flow(item));
      return concat("[", join(parts, ", "), "]");
    case Node::Kind::kMap:
      break;
  }
  for (const Entry& entry : node.entries)
    parts.push_back(concat(entry.key, ": ", flow(entry.value)));
  return concat("{", join(parts, ", "), "}");
}

// What follows "- ": one key needs no braces.
std::string list_entry(const Node& node) {
  if (!node.is_map() || node.entries.size() != 1) return flow(node);
  return concat(node.entries[0].key, ": ", flow(node.entries[0].value));
}

void write_map(const Node& map, const std::string& indent, std::string& out) {
  for (const Entry& entry : map.entries) {
    const Node& value = entry.value;
    out += concat(indent, entry.key, ":");
    if (value.is_map() && !value.entries.empty()) {
      out += "\n";
      write_map(value, indent + "  ", out);
    } else if (std::ranges::any_of(value.items, &Node::is_map)) {
      out += "\n";
      for (const Node& item : value.items) out += concat(indent, "  - ", list_entry(item), "\n");
    } else {
      out += concat(" ", flow(value), "\n");
    }
  }
}

}  // namespace

std::string to_yaml(const Node& node) {
  std::string out;
  write_map(node, "", out);
  return out.empty() ? "{}\n" : out;
}

}  // namespace vim::config
