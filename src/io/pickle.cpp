#include "io/pickle.h"

#include <charconv>
#include <cstring>

#include "io/malformed.h"
#include "io/pickle_machine.h"
#include "vim/core/text.h"

namespace vim::io {
namespace {

constexpr size_t kMaxValues = 2'000'000;  // a training state of ImageNet size has thousands

}  // namespace

// Two's complement, any length.
void PickleMachine::big_integer(uint64_t size) {
  const std::string digits = input_.bytes(size);
  if (size > sizeof(int64_t)) return push({.kind = Kind::kBytes, .text = digits});
  int64_t value = !digits.empty() && (digits.back() & 0x80) != 0 ? -1 : 0;
  std::memcpy(&value, digits.data(), size);
  push_integer(value);
}

void PickleMachine::decimal_integer(std::string digits) {
  if (digits == "00" || digits == "01") {
    return push({.kind = Kind::kBool, .integer = digits == "01"});
  }
  if (digits.ends_with('L')) digits.pop_back();
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range) return push({.kind = Kind::kBytes, .text = digits});
  if (error != std::errc() || end != digits.data() + digits.size()) {
    throw Malformed{"its pickle holds a number that is none"};
  }
  push_integer(value);
}

uint32_t PickleMachine::add(Value value) {
  if (pickle_.values.size() == kMaxValues) {
    throw Malformed{concat("its pickle holds more than ", kMaxValues, " values")};
  }
  pickle_.values.push_back(std::move(value));
  return static_cast<uint32_t>(pickle_.values.size() - 1);
}

uint32_t PickleMachine::pop() {
  const uint32_t position = top();
  stack_.pop_back();
  return position;
}

uint32_t PickleMachine::top() {
  if (stack_.size() <= floor()) throw Malformed{"its pickle takes a value that is not there"};
  return stack_.back();
}

std::vector<uint32_t> PickleMachine::pop_to_mark() {
  if (marks_.empty()) throw Malformed{"its pickle goes back to a mark that is not there"};
  std::vector<uint32_t> items(stack_.begin() + static_cast<ptrdiff_t>(floor()), stack_.end());
  stack_.resize(floor());
  marks_.pop_back();
  return items;
}

void PickleMachine::push_tuple(size_t size) {
  std::vector<uint32_t> items(size);
  for (size_t i = size; i > 0; --i) items[i - 1] = pop();
  push({.kind = Kind::kSequence, .items = std::move(items)});
}

std::string PickleMachine::global_name(uint32_t position) const {
  const Value& value = pickle_.values[position];
  return value.kind == Kind::kGlobal ? value.text : "an unknown callable";
}

// Items for a list, or keys and values for a dict. Subclasses of both are objects; what is appended
// to one gets None for a key.
void PickleMachine::put_into_top(std::vector<uint32_t> items, bool pairs) {
  if (pairs && items.size() % 2 != 0) throw Malformed{"its pickle has a key without a value"};
  Value& target = pickle_.values[top()];
  if (target.kind == Kind::kObject) {
    for (const uint32_t item : items) {
      if (!pairs) target.items.push_back(0);
      target.items.push_back(item);
    }
  } else if (target.kind == (pairs ? Kind::kDict : Kind::kSequence)) {
    target.items.insert(target.items.end(), items.begin(), items.end());
  } else {
    throw Malformed{"its pickle puts items into what holds none"};
  }
}

void PickleMachine::push_object(uint32_t callable, uint32_t arguments) {
  push({.kind = Kind::kObject, .text = global_name(callable), .items = {arguments, 0}});
}

void PickleMachine::recall(uint64_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) throw Malformed{"its pickle refers to a value that is not there"};
  stack_.push_back(found->second);
}

Pickle read_pickle(std::istream& stream, uint64_t limit) {
  return PickleMachine(stream, limit).run();
}

}  // namespace vim::io
