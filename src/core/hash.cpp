#include "vim/core/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace vim {

uint64_t hash64(const void* data, size_t size) {
  return XXH3_64bits(data, size);
}

std::string hex(uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) text[i] = kDigits[value & 15];
  return text;
}

}  // namespace vim
