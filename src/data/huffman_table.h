// Bits, and what Huffman's codes in them mean (ITU-T T.81, annexes C and F).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace vim::data {

inline constexpr uint8_t kEndOfBlock = 64;      // steps
inline constexpr uint8_t kValueFollows = 0x80;  // added to the steps

// What the next bits stand for.
struct HuffmanEntry {
  int16_t value = 0;   // of the coefficient, or the number of bits that tell it after the code
  uint8_t length = 0;  // of the code, with the value where that is known; 0: no such code
  uint8_t steps = 0;   // from the coefficient before to this one
};

struct HuffmanBits {
  uint64_t next = 0;  // the first is the highest
  int count = 0;      // of those that may be used
  const uint8_t* at = nullptr;
};

// At least 56 bits (Giesen, "Reading bits in far too many ways", 2018, variant 4).
[[gnu::always_inline]] inline void refill(HuffmanBits& bits) {
  uint64_t word;
  std::memcpy(&word, bits.at, sizeof word);
  if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
  bits.next |= word >> bits.count;
  bits.at += (63 - bits.count) >> 3;
  bits.count |= 56;
}

[[gnu::always_inline]] inline void drop(HuffmanBits& bits, int count) {
  bits.next <<= count;
  bits.count -= count;
}

// A number of `size` bits, 1 to 15: those that begin with 0 are negative.
[[gnu::always_inline]] inline int signed_value(uint32_t bits, int size) {
  const auto value = static_cast<int>(bits);
  return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
}

[[gnu::always_inline]] inline int take_value(HuffmanBits& bits, int size) {
  const int value = signed_value(static_cast<uint32_t>(bits.next >> (64 - size)), size);
  drop(bits, size);
  return value;
}

// One Huffman table as a file gives it, made so that one look tells a whole coefficient.
class HuffmanTable {
 public:
  static constexpr int kPeek = 10;  // bits that it is asked with

  // From the number of codes of each length, 1 to 16, and their symbols. False where that is no
  // table.
  bool build(const uint8_t* counts, const uint8_t* symbols, bool is_dc) {
    if (is_built_) return true;  // two components often share one
    uint32_t code = 0;
    int first = 0;
    entries_ = {};
    for (int length = 1; length <= kLongest; ++length) {
      const int count = counts[length];
      if (code + count > 1U << length || first + count > 256) return false;
      offset_[length] = first - static_cast<int>(code);
      for (int i = 0; i < count; ++i, ++code) {
        symbols_[first + i] = symbols[first + i];
        if (is_dc && symbols_[first + i] > 15) return false;
        if (length <= kPeek) enter(code, length, meaning(symbols_[first + i], length, is_dc));
      }
      first += count;
      end_[length] = code;
      code <<= 1;
    }
    is_dc_ = is_dc;
    is_built_ = true;
    return true;
  }

  // What the next bits, the first of them highest, begin with; length 0: a longer code or none.
  [[gnu::always_inline]] HuffmanEntry find(uint64_t next) const {
    return entries_[next >> (64 - kPeek)];
  }
  [[gnu::noinline]] HuffmanEntry find_long(uint64_t next) const {
    for (int length = kPeek + 1; length <= kLongest; ++length) {
      const auto code = static_cast<uint32_t>(next >> (64 - length));
      if (code < end_[length]) {
        return meaning(symbols_[offset_[length] + static_cast<int>(code)], length, is_dc_);
      }
    }
    return {};
  }

 private:
  static HuffmanEntry meaning(uint8_t symbol, int length, bool is_dc) {
    const auto size = static_cast<int16_t>(symbol & 15);
    const int zeros = symbol >> 4;
    HuffmanEntry entry = {size, static_cast<uint8_t>(length), 0};
    if (!is_dc) {
      entry.steps = static_cast<uint8_t>(size > 0 ? zeros + 1 : zeros == 15 ? 16 : kEndOfBlock);
    }
    if (size > 0) entry.steps |= kValueFollows;
    return entry;
  }

  // For all that may follow the code.
  void enter(uint32_t code, int length, const HuffmanEntry& meaning) {
    const int rest = kPeek - length, size = meaning.value;
    for (uint32_t more = 0; more < 1U << rest; ++more) {
      HuffmanEntry& entry = entries_[code << rest | more];
      entry = meaning;
      if (size == 0 || size > rest) continue;
      entry.value = static_cast<int16_t>(signed_value(more >> (rest - size), size));
      entry.length = static_cast<uint8_t>(length + size);
      entry.steps &= static_cast<uint8_t>(~kValueFollows);
    }
  }

  static constexpr int kLongest = 16;  // bits of a code

  std::array<HuffmanEntry, 1 << kPeek> entries_{};
  std::array<uint8_t, 256> symbols_{};
  std::array<int, kLongest + 1> offset_{};    // of a code's symbol from the code
  std::array<uint32_t, kLongest + 1> end_{};  // behind the last code of each length
  bool is_dc_ = false, is_built_ = false;
};

}  // namespace vim::data
