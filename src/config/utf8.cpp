#include "utf8.h"

namespace vim::config {
namespace {

// Bytes of the character that starts with `lead`; 0: none does.
size_t length_of(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

bool is_allowed(char32_t code, size_t length) {
  if (length == 1)
    return code >= 0x20 ? code != 0x7f : code == '\t' || code == '\n' || code == '\r';
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  return !overlong && code <= 0x10ffff && (code < 0xd800 || code >= 0xe000);
}

}  // namespace

size_t find_non_text(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = length_of(lead);
    if (length == 0 || i + length > text.size()) return i;
    char32_t code = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t j = 1; j < length; ++j) {
      const auto next = static_cast<unsigned char>(text[i + j]);
      if ((next & 0xc0) != 0x80) return i;
      code = code << 6 | (next & 0x3f);
    }
    if (!is_allowed(code, length)) return i;
    i += length;
  }
  return std::string_view::npos;
}

}  // namespace vim::config
