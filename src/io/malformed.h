// How the readers of this folder refuse a file.
#pragma once

#include <cstdint>
#include <istream>
#include <string>

namespace vim::io {

// A violation of a format, without the file's name; the public functions turn it into an Error.
struct Malformed {
  std::string what;
};

inline void read_exactly(std::istream& file, void* data, uint64_t size) {
  file.read(static_cast<char*>(data), static_cast<std::streamsize>(size));
  if (static_cast<uint64_t>(file.gcount()) != size) throw Malformed{"it ends too early"};
}

}  // namespace vim::io
