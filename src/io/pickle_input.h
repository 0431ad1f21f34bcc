// The bytes of a pickle, as its operations ask for them.
#pragma once

#include <bit>
#include <charconv>
#include <cstdint>
#include <istream>
#include <string>

#include "io/malformed.h"

namespace vim::io {

// Never reads beyond `limit` bytes. Throws Malformed.
class PickleInput {
 public:
  PickleInput(std::istream& stream, uint64_t limit) : stream_(stream), left_(limit) {}

  template <class T>
  T little_endian() {
    T value;
    take(&value, sizeof value);
    return value;
  }

  double real() {  // big-endian
    return std::bit_cast<double>(__builtin_bswap64(little_endian<uint64_t>()));
  }

  std::string bytes(uint64_t size);

  std::string line();  // without its end

  template <class T>
  T number_in_line() {
    return parse<T>(line());
  }

 private:
  template <class T>
  static T parse(const std::string& text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      throw Malformed{"its pickle holds a number that is none"};
    }
    return value;
  }
  void take(void* data, uint64_t size);

  std::istream& stream_;
  uint64_t left_;
};

}  // namespace vim::io
