// One declaration a config field.
//
// A config is a plain struct whose defaults are its member initialisers, and one function beside
// it:
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
// Reading, writing and the reference of all keys (config/config.h) are visitors over that function.
// Rules that span fields: `check`, see config/problems.h.
//
// A field may be: bool, int64_t, double, std::string; an enum with names (config/leaf.h);
// std::optional of these, whose empty state is written `auto`; std::vector and std::array; a struct
// with `describe`; and a std::vector of std::variant of such structs, a list whose entries are
// named by each struct's `kName` and explained by its `kDoc` (both static constexpr
// std::string_view):
//
//   transforms:
//     - random_resized_crop: {size: 224}    # a map sets the fields
//     - flip                                # a bare name takes the defaults
//     - pad: 4                              # anything else is the value of the first field
//
// A type of your own takes part as a leaf: specialise Leaf<T>.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vim/config/codec.h"

namespace vim::config {

// What a list entry can be.
struct Alternative {
  std::string name;
  std::string doc;
  Describe describe;  // with its defaults
};

// A field, whatever its type.
class Field {
 public:
  virtual ~Field() = default;
  virtual void read(const Node& node, const Problems& problems) = 0;
  virtual Node write() const = 0;
  virtual void check(const Rule& rule, const Problems& problems) const = 0;
  virtual std::string kind(const Rule& rule) const = 0;       // "a number > 0"
  virtual Describe fields() = 0;                              // of a struct, else empty
  virtual std::vector<Alternative> alternatives() const = 0;  // of a list of variants, else empty
};

template <class T>
std::vector<Alternative> alternatives_of(const T&) {
  return {};
}
template <class... Structs>
std::vector<Alternative> alternatives_of(const std::vector<std::variant<Structs...>>&) {
  return {{std::string(Structs::kName), std::string(Structs::kDoc),
           [s = Structs{}](Visitor& v) mutable { describe(v, s); }}...};
}

template <class T>
class FieldOf final : public Field {
 public:
  explicit FieldOf(T& value) : value_(value) {}
  void read(const Node& node, const Problems& problems) override {
    Codec<T>::read(node, value_, problems);
  }
  Node write() const override { return Codec<T>::write(value_); }
  void check(const Rule& rule, const Problems& problems) const override {
    Codec<T>::check(value_, rule, problems);
  }
  std::string kind(const Rule& rule) const override { return Codec<T>::kind(rule); }
  Describe fields() override {
    if constexpr (requires(Visitor & v) { describe(v, value_); }) return described(value_);
    return {};
  }
  std::vector<Alternative> alternatives() const override { return alternatives_of(value_); }

 private:
  T& value_;
};

class Visitor {
 public:
  virtual ~Visitor() = default;

  template <class T>
  void operator()(std::string_view key, T& value, std::string_view doc, const Rule& rule = any) {
    FieldOf<T> field(value);
    visit(key, field, doc, rule);
  }

 protected:
  virtual void visit(std::string_view key, Field& field, std::string_view doc,
                     const Rule& rule) = 0;
};

}  // namespace vim::config
