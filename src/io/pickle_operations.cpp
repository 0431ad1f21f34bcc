// One `case` an operation of the pickle language.
#include "io/malformed.h"
#include "io/pickle_machine.h"
#include "vim/core/text.h"

namespace vim::io {

bool PickleMachine::number(uint8_t operation) {
  switch (operation) {
    case 'N':
      stack_.push_back(0);
      return true;
    case 0x88:
    case 0x89:
      push({.kind = Kind::kBool, .integer = operation == 0x88});
      return true;
    case 'I':
    case 'L':
      decimal_integer(input_.line());
      return true;
    case 'J':
      push_integer(input_.little_endian<int32_t>());
      return true;
    case 'K':
      push_integer(input_.little_endian<uint8_t>());
      return true;
    case 'M':
      push_integer(input_.little_endian<uint16_t>());
      return true;
    case 0x8a:
      big_integer(input_.little_endian<uint8_t>());
      return true;
    case 0x8b:
      big_integer(input_.little_endian<uint32_t>());
      return true;
    case 'F':
      push({.kind = Kind::kFloat, .real = input_.number_in_line<double>()});
      return true;
    case 'G':
      push({.kind = Kind::kFloat, .real = input_.real()});
      return true;
  }
  return false;
}

bool PickleMachine::text(uint8_t operation) {
  const auto push_text = [&](uint64_t size, Kind kind = Kind::kText) {
    push({.kind = kind, .text = input_.bytes(size)});
  };
  switch (operation) {
    case 'S':
    case 'V': {
      std::string text = input_.line();
      if (operation == 'S' && text.size() >= 2) text = text.substr(1, text.size() - 2);  // quotes
      push({.kind = Kind::kText, .text = text});
      return true;
    }
    case 'U':
    case 0x8c:
      push_text(input_.little_endian<uint8_t>());
      return true;
    case 'T':
    case 'X':
      push_text(input_.little_endian<uint32_t>());
      return true;
    case 0x8d:
      push_text(input_.little_endian<uint64_t>());
      return true;
    case 'C':
      push_text(input_.little_endian<uint8_t>(), Kind::kBytes);
      return true;
    case 'B':
      push_text(input_.little_endian<uint32_t>(), Kind::kBytes);
      return true;
    case 0x8e:
    case 0x96:
      push_text(input_.little_endian<uint64_t>(), Kind::kBytes);
      return true;
  }
  return false;
}

bool PickleMachine::container(uint8_t operation) {
  const auto push_from_mark = [&](Kind kind) { push({.kind = kind, .items = pop_to_mark()}); };
  switch (operation) {
    case ']':
    case ')':
    case 0x8f:
      push({.kind = Kind::kSequence});
      return true;
    case '}':
      push({.kind = Kind::kDict});
      return true;
    case 'l':
    case 't':
    case 0x91:
      push_from_mark(Kind::kSequence);
      return true;
    case 'd':
      push_from_mark(Kind::kDict);
      if (pickle_.values.back().items.size() % 2 != 0) {
        throw Malformed{"its pickle has a key without a value"};
      }
      return true;
    case 0x85:
    case 0x86:
    case 0x87:
      push_tuple(operation - 0x84u);
      return true;
  }
  return false;
}

bool PickleMachine::filling(uint8_t operation) {
  switch (operation) {
    case 'a':
      put_into_top({pop()}, false);
      return true;
    case 'e':
    case 0x90:
      put_into_top(pop_to_mark(), false);
      return true;
    case 's': {
      const uint32_t value = pop(), key = pop();
      put_into_top({key, value}, true);
      return true;
    }
    case 'u':
      put_into_top(pop_to_mark(), true);
      return true;
  }
  return false;
}

bool PickleMachine::stack(uint8_t operation) {
  switch (operation) {
    case 0x80:
      if (input_.little_endian<uint8_t>() > 5)
        throw Malformed{"its pickle has an unknown protocol"};
      return true;
    case 0x95:
      input_.little_endian<uint64_t>();  // a hint for reading ahead
      return true;
    case '(':
      marks_.push_back(stack_.size());
      return true;
    case '0':
      pop();
      return true;
    case '1':
      pop_to_mark();
      return true;
    case '2':
      stack_.push_back(top());
      return true;
    case 'p':
      remember(input_.number_in_line<uint64_t>());
      return true;
    case 'q':
      remember(input_.little_endian<uint8_t>());
      return true;
    case 'r':
      remember(input_.little_endian<uint32_t>());
      return true;
    case 0x94:
      remember(memo_.size());
      return true;
    case 'g':
      recall(input_.number_in_line<uint64_t>());
      return true;
    case 'h':
      recall(input_.little_endian<uint8_t>());
      return true;
    case 'j':
      recall(input_.little_endian<uint32_t>());
      return true;
  }
  return false;
}

bool PickleMachine::object(uint8_t operation) {
  switch (operation) {
    case 'c': {
      const std::string module = input_.line();
      push({.kind = Kind::kGlobal, .text = module + "." + input_.line()});
      return true;
    }
    case 0x93: {
      const std::string name = pickle_.values[pop()].text;
      push({.kind = Kind::kGlobal, .text = pickle_.values[pop()].text + "." + name});
      return true;
    }
    case 'i': {
      const std::string module = input_.line(), name = module + "." + input_.line();
      const uint32_t arguments = add({.kind = Kind::kSequence, .items = pop_to_mark()});
      push({.kind = Kind::kObject, .text = name, .items = {arguments, 0}});
      return true;
    }
    case 'o': {
      std::vector<uint32_t> items = pop_to_mark();
      if (items.empty()) throw Malformed{"its pickle makes an object of no class"};
      const uint32_t callable = items.front();
      items.erase(items.begin());
      push_object(callable, add({.kind = Kind::kSequence, .items = std::move(items)}));
      return true;
    }
    case 0x92:  // with keyword arguments
      pop();
      [[fallthrough]];
    case 'R':
    case 0x81: {
      const uint32_t arguments = pop(), callable = pop();
      push_object(callable, arguments);
      return true;
    }
    case 'b': {
      const uint32_t state = pop();
      Value& built = pickle_.values[top()];
      if (built.kind == Kind::kObject) built.items[kObjectState] = state;
      return true;
    }
    case 'P':
      push({.kind = Kind::kPersistent,
            .items = {add({.kind = Kind::kText, .text = input_.line()})}});
      return true;
    case 'Q':
      push({.kind = Kind::kPersistent, .items = {pop()}});
      return true;
  }
  return false;
}

Pickle PickleMachine::run() {
  for (uint8_t operation; (operation = input_.little_endian<uint8_t>()) != '.';) {
    const bool known = number(operation) || text(operation) || container(operation) ||
                       filling(operation) || stack(operation) || object(operation);
    if (!known) {
      throw Malformed{
          concat("its pickle holds the unknown operation ", static_cast<int>(operation))};
    }
  }
  pickle_.root = top();
  return std::move(pickle_);
}

}  // namespace vim::io
