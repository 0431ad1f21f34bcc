// Values that are written as one piece: numbers, words, texts.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "vim/config/node.h"

namespace vim::config {

// Specialise it for a type of your own, with these members:
//   static std::string kind();                         what it is, as in "expected a number, got
//   'fast'" static bool read(const Node& node, T& value);      false where the node is no such
//   thing static Node write(const T& value);                 read(write(value)) gives the same
//   value
template <class T>
struct Leaf;

#define VIM_CONFIG_LEAF(Type)                        \
  template <>                                        \
  struct Leaf<Type> {                                \
    static std::string kind();                       \
    static bool read(const Node& node, Type& value); \
    static Node write(const Type& value);            \
  }
VIM_CONFIG_LEAF(bool);
VIM_CONFIG_LEAF(int64_t);
VIM_CONFIG_LEAF(double);
VIM_CONFIG_LEAF(std::string);
#undef VIM_CONFIG_LEAF

// The names of an enum's values, in the order of the reference. Specialise it as
//   template <> inline constexpr auto enum_names<Pool> = named<Pool>({{Pool::kMean, "mean"}, ...});
template <class E>
inline constexpr auto enum_names = nullptr;

template <class E>
using EnumName = std::pair<E, std::string_view>;

template <class E, size_t N>
constexpr std::array<EnumName<E>, N> named(const EnumName<E> (&names)[N]) {
  return std::to_array(names);
}

// {"a", "b", "c"} -> "a, b or c"
std::string one_of(std::span<const std::string> names);

template <class E>
requires std::is_enum_v<E>
struct Leaf<E> {
  static std::string kind() {
    std::string names[enum_names<E>.size()];
    std::ranges::transform(enum_names<E>, names,
                           [](const auto& item) { return std::string(item.second); });
    return one_of(names);
  }
  static bool read(const Node& node, E& value) {
    if (node.kind != Node::Kind::kScalar) return false;
    for (const auto& [e, name] : enum_names<E>) {
      if (name == node.text) return value = e, true;
    }
    return false;
  }
  static Node write(const E& value) {
    for (const auto& [e, name] : enum_names<E>) {
      if (e == value) return Node::scalar(std::string(name));
    }
    return {};
  }
};

template <class T>
concept IsLeaf = requires {
  Leaf<T>::kind();
};

}  // namespace vim::config
