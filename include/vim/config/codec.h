// How fields of each type are read, written and checked. Written once for all configs, which need
// only config/visitor.h.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "vim/config/leaf.h"
#include "vim/config/problems.h"
#include "vim/config/rule.h"

namespace vim::config {

class Visitor;
using Describe = std::function<void(Visitor&)>;  // `describe` with its struct

// What does not depend on the type.
void read_fields(const Node& node, const Describe& describe, Problems problems);
void read_argument(const Node& node, const Describe& describe, Problems problems);
Node write_fields(const Describe& describe);
Node write_entry(std::string_view name, const Describe& describe);
void check_fields(const Describe& describe, const Problems& problems);
void check_leaf(const Node& written, std::string_view kind, const Rule& rule, Problems problems);
bool begin_list(const Node& node, std::optional<size_t> size, Problems problems);
std::optional<size_t> list_position(const Entry& entry, size_t size, const Problems& problems);
std::optional<Entry> named_entry(const Node& node, std::span<const std::string> names,
                                 Problems problems);

template <class T>
Describe described(T& value) {
  return [&value](Visitor& visitor) { describe(visitor, value); };
}

// The cross-field rules of a struct, where it has any.
template <class T>
void check_together(const T& value, Problems& problems) {
  if constexpr (requires { check(value, problems); }) {
    if (problems.clean()) check(value, problems);
  }
}

// A struct.
template <class T>
struct Codec {
  static void read(const Node& node, T& value, const Problems& problems) {
    read_fields(node, described(value), problems);
  }
  static Node write(T value) { return write_fields(described(value)); }
  static void check(T value, const Rule&, Problems problems) {
    check_fields(described(value), problems);
    check_together(value, problems);
  }
  static std::string kind(const Rule&) { return "a map"; }
};

template <IsLeaf T>
struct Codec<T> {
  static void read(const Node& node, T& value, Problems problems) {
    T parsed{};
    if (!Leaf<T>::read(node, parsed)) return problems.expected(Leaf<T>::kind(), node);
    value = std::move(parsed);
    problems.value_set(node.place);
  }
  static Node write(const T& value) { return Leaf<T>::write(value); }
  static void check(const T& value, const Rule& rule, const Problems& problems) {
    check_leaf(write(value), Leaf<T>::kind(), rule, problems);
  }
  static std::string kind(const Rule& rule) { return with_rule(Leaf<T>::kind(), rule); }
};

// A leaf, or the word `auto`.
template <IsLeaf T>
struct Codec<std::optional<T>> {
  static std::string auto_or(const std::string& kind) {
    return (kind.find(" or ") == std::string::npos ? "auto or " : "auto, ") + kind;
  }
  static void read(const Node& node, std::optional<T>& value, Problems problems) {
    std::optional<T> parsed;
    if (!node.is_plain("auto") && !Leaf<T>::read(node, parsed.emplace())) {
      return problems.expected(auto_or(Leaf<T>::kind()), node);
    }
    value = std::move(parsed);
    problems.value_set(node.place);
  }
  static Node write(const std::optional<T>& value) {
    if (!value) return Node::scalar("auto");
    Node node = Leaf<T>::write(*value);
    node.quoted |= node.text == "auto";
    return node;
  }
  static void check(const std::optional<T>& value, const Rule& rule, const Problems& problems) {
    if (value) check_leaf(Leaf<T>::write(*value), auto_or(Leaf<T>::kind()), rule, problems);
  }
  static std::string kind(const Rule& rule) { return auto_or(with_rule(Leaf<T>::kind(), rule)); }
};

template <class List>
struct ListCodec {
  using T = typename List::value_type;
  static void read_items(const Node& node, List& value, const Problems& problems) {
    for (size_t i = 0; i < node.items.size(); ++i) {
      T item{};
      Codec<T>::read(node.items[i], item, problems.at(i));
      value[i] = std::move(item);
    }
  }
  // `list.0.key: value`, as --set writes it.
  static void read_positions(const Node& node, List& value, const Problems& problems) {
    for (const Entry& entry : node.entries) {
      const std::optional<size_t> i = list_position(entry, value.size(), problems);
      if (!i) continue;
      T item = value[*i];
      Codec<T>::read(entry.value, item, problems.at(*i));
      value[*i] = std::move(item);
    }
  }
  static Node write(const List& value) {
    std::vector<Node> items;
    for (const T& item : value) items.push_back(Codec<T>::write(item));
    return Node::sequence(std::move(items));
  }
  static void check(const List& value, const Rule& rule, const Problems& problems) {
    for (size_t i = 0; i < value.size(); ++i) Codec<T>::check(value[i], rule, problems.at(i));
  }
};

template <class T>
struct Codec<std::vector<T>> : ListCodec<std::vector<T>> {
  static void read(const Node& node, std::vector<T>& value, const Problems& problems) {
    if (node.patch) return Codec::read_positions(node, value, problems);
    if (!begin_list(node, std::nullopt, problems)) return;
    value.assign(node.items.size(), T{});
    Codec::read_items(node, value, problems);
  }
  static std::string kind(const Rule& rule) { return "a list, each " + Codec<T>::kind(rule); }
};

template <class T, size_t N>
struct Codec<std::array<T, N>> : ListCodec<std::array<T, N>> {
  static void read(const Node& node, std::array<T, N>& value, const Problems& problems) {
    if (node.patch) return Codec::read_positions(node, value, problems);
    if (begin_list(node, N, problems)) Codec::read_items(node, value, problems);
  }
  static std::string kind(const Rule& rule) {
    return "a list of " + std::to_string(N) + ", each " + Codec<T>::kind(rule);
  }
};

// An entry of a list, named by its struct.
template <class... Structs>
struct Codec<std::variant<Structs...>> {
  using Variant = std::variant<Structs...>;
  static std::vector<std::string> names() { return {std::string(Structs::kName)...}; }
  static void read(const Node& node, Variant& value, Problems problems) {
    if (node.patch) {
      return std::visit([&](auto& s) { read_fields(node, described(s), problems); }, value);
    }
    const std::optional<Entry> entry = named_entry(node, names(), problems);
    if (!entry) return;
    problems.value_set(node.place);
    const auto read_as = [&]<class S>(S s) {
      if (entry->key != S::kName) return;
      read_argument(entry->value, described(s), problems);
      value = std::move(s);
    };
    (read_as(Structs{}), ...);
  }
  static Node write(Variant value) {
    return std::visit([]<class S>(S& s) { return write_entry(S::kName, described(s)); }, value);
  }
  static void check(const Variant& value, const Rule& rule, const Problems& problems) {
    std::visit([&]<class S>(const S& s) { Codec<S>::check(s, rule, problems); }, value);
  }
  static std::string kind(const Rule&) { return one_of(names()); }
};

}  // namespace vim::config
