// Tar files for tests, byte by byte.
#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>

#include "vim/core/file.h"

namespace vim::test {

// A ustar header with its checksum; fields that do not fit are cut off.
inline std::string tar_header(const std::string& name, size_t size, char type = '0') {
  std::string block(512, '\0');
  block.replace(0, std::min<size_t>(100, name.size()), name.substr(0, 100));
  block.replace(100, 8, std::string("0000644\0", 8));
  char digits[13];
  std::snprintf(digits, sizeof digits, "%011zo", size);
  block.replace(124, 11, digits, 11);
  block[156] = type;
  block.replace(257, 8,
                std::string("ustar\0"
                            "00",
                            8));
  block.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::snprintf(digits, sizeof digits, "%06o", sum);
  block.replace(148, 7, digits, 7);
  return block;
}

inline std::string tar_member(const std::string& name, const std::string& content,
                              char type = '0') {
  std::string member = tar_header(name, content.size(), type) + content;
  member.resize((member.size() + 511) / 512 * 512);
  return member;
}

inline const std::string& tar_end() {
  static const std::string end(1024, '\0');
  return end;
}

}  // namespace vim::test
