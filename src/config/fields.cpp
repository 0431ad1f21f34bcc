// The visitors that read, write and check a struct, and what all lists share.
#include <algorithm>

#include "number.h"
#include "vim/config/visitor.h"
#include "vim/core/text.h"

namespace vim::config {
namespace {

class Reader final : public Visitor {
 public:
  Reader(const Node& map, const Problems& problems) : map_(map), problems_(problems) {}

  void refuse_unknown() const {
    for (const Entry& entry : map_.entries) {
      if (std::ranges::find(keys_, entry.key) != keys_.end()) continue;
      const std::string guess = nearest(entry.key, keys_);
      const std::string help = keys_.empty()   ? "nothing can be set here"
                               : guess.empty() ? concat("the keys here are ", join(keys_, ", "))
                                               : concat("did you mean '", guess, "'?");
      problems_.at(entry.key).add(entry.place, concat("unknown key; ", help));
    }
  }

 protected:
  void visit(std::string_view key, Field& field, std::string_view, const Rule&) override {
    keys_.emplace_back(key);
    const auto entry = std::ranges::find(map_.entries, key, &Entry::key);
    if (entry != map_.entries.end()) field.read(entry->value, problems_.at(key));
  }

 private:
  const Node& map_;
  const Problems& problems_;
  std::vector<std::string> keys_;
};

class FirstFieldReader final : public Visitor {
 public:
  FirstFieldReader(const Node& node, const Problems& problems) : node_(node), problems_(problems) {}
  bool done() const { return done_; }

 protected:
  void visit(std::string_view key, Field& field, std::string_view, const Rule&) override {
    if (!done_) field.read(node_, problems_.at(key));
    done_ = true;
  }

 private:
  const Node& node_;
  const Problems& problems_;
  bool done_ = false;
};

class Writer final : public Visitor {
 public:
  Node map;

 protected:
  void visit(std::string_view key, Field& field, std::string_view, const Rule&) override {
    map.entries.push_back({std::string(key), field.write(), {}});
  }
};

class Checker final : public Visitor {
 public:
  explicit Checker(const Problems& problems) : problems_(problems) {}

 protected:
  void visit(std::string_view key, Field& field, std::string_view, const Rule& rule) override {
    field.check(rule, problems_.at(key));
  }

 private:
  const Problems& problems_;
};

}  // namespace

void read_fields(const Node& node, const Describe& describe, Problems problems) {
  if (node.kind == Node::Kind::kNull) return;  // a key above nothing but comments
  if (!node.is_map()) return problems.expected("a map of keys", node);
  Reader reader(node, problems);
  describe(reader);
  reader.refuse_unknown();
}

void read_argument(const Node& node, const Describe& describe, Problems problems) {
  if (node.is_map() || node.kind == Node::Kind::kNull) return read_fields(node, describe, problems);
  FirstFieldReader reader(node, problems);
  describe(reader);
  if (!reader.done()) problems.add(node.place, concat("takes no value, got ", shown(node)));
}

Node write_fields(const Describe& describe) {
  Writer writer;
  writer.map.kind = Node::Kind::kMap;
  describe(writer);
  return std::move(writer.map);
}

Node write_entry(std::string_view name, const Describe& describe) {
  Node fields = write_fields(describe);
  if (fields.entries.empty()) return Node::scalar(std::string(name));
  Node node;
  node.kind = Node::Kind::kMap;
  node.entries.push_back({std::string(name), std::move(fields), {}});
  return node;
}

void check_fields(const Describe& describe, const Problems& problems) {
  Checker checker(problems);
  describe(checker);
}

void check_leaf(const Node& written, std::string_view kind, const Rule& rule, Problems problems) {
  if (!problems.clean() || keeps(written, rule)) return;
  if (rule.not_empty)
    return problems.add("", "is empty; give it a value, in the file or with --set");
  problems.add("", concat("expected ", with_rule(kind, rule), ", got ", shown(written)));
}

bool begin_list(const Node& node, std::optional<size_t> size, Problems problems) {
  const std::string what = size ? concat("a list of ", *size) : "a list";
  if (!node.is_sequence()) return problems.expected(what, node), false;
  if (size && node.items.size() != *size) {
    problems.add(node.place, concat("expected ", what, ", got one of ", node.items.size()));
    return false;
  }
  problems.list_replaced(node.place);
  return true;
}

std::optional<size_t> list_position(const Entry& entry, size_t size, const Problems& problems) {
  const std::optional<int64_t> position = to_whole(entry.key);
  if (position && *position >= 0 && static_cast<size_t>(*position) < size) return *position;
  const std::string help =
      size == 0 ? "the list is empty" : concat("the entries are 0 to ", size - 1);
  problems.at(entry.key).add(entry.place, concat("no such entry; ", help));
  return std::nullopt;
}

std::optional<Entry> named_entry(const Node& node, std::span<const std::string> names,
                                 Problems problems) {
  if (node.is_map() && node.entries.size() > 1) {
    const std::string& first = node.entries.front().key;
    problems.add(node.place, concat("expected one name, got ", node.entries.size(),
                                    " keys; indent the fields of '", first, "' below it"));
    return std::nullopt;
  }
  Entry entry;
  if (node.is_map() && !node.entries.empty()) {
    entry = node.entries.front();
  } else if (node.kind == Node::Kind::kScalar) {
    entry = {node.text, {}, node.place};
  } else {
    problems.expected(one_of(names), node);
    return std::nullopt;
  }
  if (std::ranges::find(names, entry.key) != names.end()) return entry;
  const std::string guess = nearest(entry.key, names);
  const std::string help = guess.empty() ? "" : concat("; did you mean '", guess, "'?");
  problems.add(entry.place, concat("expected ", one_of(names), ", got '", entry.key, "'", help));
  return std::nullopt;
}

}  // namespace vim::config
