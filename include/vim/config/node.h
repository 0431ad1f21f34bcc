// A value of a configuration file with its place, independent of the YAML parser.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vim::config {

// Where a value was written.
struct Place {
  std::string source;  // "configs/x.yaml", "--set optim.lr=fast"; empty: a default
  int line = 0;        // from 1; 0: the source as a whole
  int column = 0;
  int order = 0;  // of the source, among those read
};
std::string to_string(const Place& place);  // "configs/x.yaml:6:7"

struct Entry;

struct Node {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  std::string text;            // of a scalar
  bool quoted = false;         // a scalar in quotes: text, never a number or a word like `auto`
  bool patch = false;          // a map made by --set: its keys may be positions in a list
  std::vector<Node> items;     // of a sequence
  std::vector<Entry> entries;  // of a map, in order, keys unique
  Place place;

  bool is_map() const { return kind == Kind::kMap; }
  bool is_sequence() const { return kind == Kind::kSequence; }
  bool is_plain(std::string_view word) const {
    return kind == Kind::kScalar && !quoted && text == word;
  }
  static Node scalar(std::string text);
  static Node sequence(std::vector<Node> items);
};

struct Entry {
  std::string key;
  Node value;
  Place place;  // of the key
};

// What a person sees of a node in "expected a number, got ...": 'fast', a list, a map, nothing.
std::string shown(const Node& node);

}  // namespace vim::config
