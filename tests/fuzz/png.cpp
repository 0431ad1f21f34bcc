#include <cstdint>
#include <cstdlib>

#include "fuzz/target.h"
#include "vim/data/image.h"

namespace vim::fuzz {
namespace {

constexpr uint64_t kMaxSmall = 1 << 20;  // pixels; more would be slow, and no finding
constexpr size_t kSize = 16;             // where width and height stand

uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

}  // namespace

void read(std::string_view bytes) {
  if (bytes.size() >= kSize + 8 &&
      big_endian(bytes.substr(kSize, 4)) * big_endian(bytes.substr(kSize + 4, 4)) > kMaxSmall) {
    return;
  }
  if (data::decode_image(bytes).empty()) std::abort();
}

}  // namespace vim::fuzz
