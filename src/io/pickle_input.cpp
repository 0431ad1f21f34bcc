#include "io/pickle_input.h"

#include <algorithm>

#include "vim/core/text.h"

namespace vim::io {
namespace {

constexpr size_t kMaxLine = 1 << 16;

}  // namespace

void PickleInput::take(void* data, uint64_t size) {
  if (size > left_) throw Malformed{"its pickle ends too early"};
  left_ -= size;
  read_exactly(stream_, data, size);
}

// Memory is taken as bytes arrive: a length costs nothing until it is kept.
std::string PickleInput::bytes(uint64_t size) {
  if (size > left_) throw Malformed{concat("its pickle announces a text of ", size, " bytes")};
  constexpr uint64_t kBlock = 1 << 20;
  std::string result;
  while (result.size() < size) {
    const uint64_t begin = result.size(), count = std::min(kBlock, size - begin);
    result.resize(begin + count);
    take(result.data() + begin, count);
  }
  return result;
}

std::string PickleInput::line() {
  std::string result;
  for (char c; (c = little_endian<char>()) != '\n'; result += c) {
    if (result.size() == kMaxLine) throw Malformed{"its pickle holds a line without end"};
  }
  return result;
}

}  // namespace vim::io
