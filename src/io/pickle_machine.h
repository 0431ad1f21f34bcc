// The stack machine that a pickle is a program for.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "io/pickle.h"
#include "io/pickle_input.h"

namespace vim::io {

class PickleMachine {
 public:
  PickleMachine(std::istream& stream, uint64_t limit) : input_(stream, limit) {
    pickle_.values.resize(1);  // None
  }
  Pickle run();

 private:
  // Each handles the operations of its kind, and says whether this was one of them.
  bool number(uint8_t operation);
  bool text(uint8_t operation);
  bool container(uint8_t operation);
  bool filling(uint8_t operation);
  bool stack(uint8_t operation);
  bool object(uint8_t operation);

  void big_integer(uint64_t size);
  void decimal_integer(std::string digits);

  uint32_t add(Value value);
  void push(Value value) { stack_.push_back(add(std::move(value))); }
  void push_integer(int64_t value) { push({.kind = Kind::kInt, .integer = value}); }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  uint32_t pop();
  std::vector<uint32_t> pop_to_mark();
  void push_tuple(size_t size);
  uint32_t top();
  std::string global_name(uint32_t position) const;
  void put_into_top(std::vector<uint32_t> items, bool pairs);
  void push_object(uint32_t callable, uint32_t arguments);
  void remember(uint64_t key) { memo_[key] = top(); }
  void recall(uint64_t key);

  PickleInput input_;
  Pickle pickle_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<uint64_t, uint32_t> memo_;
};

}  // namespace vim::io
