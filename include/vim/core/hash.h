// Hashes to tell whether two pieces of data are the same (XXH3; not against an adversary).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vim {

uint64_t hash64(const void* data, size_t size);
inline uint64_t hash64(std::string_view text) {
  return hash64(text.data(), text.size());
}

// 16 hexadecimal digits.
std::string hex(uint64_t value);

}  // namespace vim
