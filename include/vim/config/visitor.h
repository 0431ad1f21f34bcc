// One declaration a config field.
//
// A config is a plain struct whose defaults are its member initialisers, and one function beside it:
//
//   struct OptimConfig {
//     double lr = 5e-4;
//     double weight_decay = 0.05;
//   };
//   void describe(config::Visitor& v, OptimConfig& c) {
//     v("lr", c.lr, "Peak learning rate for a global batch of 512.", config::positive);
//     v("weight_decay", c.weight_decay, "Decoupled weight decay.", config::at_least(0));
//   }
//
// Reading, writing and the reference of all keys are visitors over that function (config/config.h).
//
// A field may be: bool, int64_t, double, std::string; an enum with names (below); std::optional of these,
// whose empty state is written `auto`; std::vector and std::array of these; a struct with `describe`; and a
// std::vector of std::variant of such structs, a list whose entries are named by each struct's `kName`:
//
//   transforms:
//     - random_resized_crop: {size: 224}    # a map sets the fields
//     - flip                                # a bare name takes the defaults
//     - pad: 4                              # anything else is the value of the first field
//
// A type of your own takes part as a leaf: specialise Leaf<T>.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace vim::config {

// A value of the YAML file with its place, independent of the parser.
struct Node {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  std::string scalar;                                    // kScalar, as written
  bool quoted = false;                                   // kScalar
  std::vector<Node> items;                               // kSequence
  std::vector<std::pair<std::string, Node>> entries;     // kMap, in order; keys unique
  std::vector<std::string> places;                       // kMap: "file:line:column" of each key
  std::string place;                                     // "configs/x.yaml:6:7" or "--set optim.lr"
};

// A bound on a number or a string; `violated` returns "" or what is expected, as in "expected a number > 0".
struct Rule {
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool exclusive_minimum = false;
  bool not_empty = false;
};
inline constexpr Rule any{};
inline constexpr Rule positive{.minimum = 0, .exclusive_minimum = true};
inline constexpr Rule fraction{.minimum = 0, .maximum = 1};
inline constexpr Rule not_empty{.not_empty = true};
constexpr Rule at_least(double minimum) { return {.minimum = minimum}; }
constexpr Rule between(double minimum, double maximum) { return {.minimum = minimum, .maximum = maximum}; }

// The names of an enum's values, in the order of the reference. Specialise it as
//   template <> inline constexpr auto enum_names<Pool> = named<Pool>({{Pool::kMean, "mean"}, ...});
template <class E>
using EnumName = std::pair<E, std::string_view>;
template <class E, size_t N>
constexpr std::array<EnumName<E>, N> named(const EnumName<E> (&names)[N]) {
  return std::to_array(names);
}
template <class E>
inline constexpr auto enum_names = nullptr;
