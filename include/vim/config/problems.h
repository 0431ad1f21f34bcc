// What is wrong with a config, collected so that a person sees all of it at once.
#pragma once

#include <string>
#include <string_view>

#include "vim/config/node.h"

namespace vim::config {

struct Journal;  // all problems, and the place of every value that was set

// Stands at one path of the config and takes problems about it. A cross-field rule is a function
//   void check(const OptimConfig& c, config::Problems& problems) {
//     if (c.min_lr > c.lr) problems.add("min_lr", concat("is above lr (", c.lr, ")"));
//   }
// beside `describe`. It is called after the last layer, if nothing else is wrong within the struct.
class Problems {
 public:
  explicit Problems(Journal& journal, std::string path = {})
      : journal_(&journal), path_(std::move(path)) {}

  // About the field `key` of this struct (`a.b` of a nested one); located where its value was set.
  void add(std::string_view key, std::string_view sentence);

  // For readers of values.
  Problems root() const { return Problems(*journal_); }
  Problems at(std::string_view key) const;
  Problems at(size_t index) const { return at(std::to_string(index)); }
  void add(const Place& place, std::string_view sentence);  // about this path
  void expected(std::string_view what, const Node& node);   // "expected `what`, got `node`"
  void value_set(const Place& place);                       // the value here comes from there
  void list_replaced(const Place& place);                   // and whatever was below it is gone
  bool clean() const;                                       // none here or below

 private:
  Journal* journal_;
  std::string path_;
};

}  // namespace vim::config
