#include "fuzz/target.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "support/support.h"
#include "vim/core/error.h"

namespace vim::fuzz {

std::filesystem::path folder() {
  static const test::ScratchFolder scratch;
  return scratch.path();
}

void write(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.flush();
  if (!file) {
    std::perror(path.c_str());
    std::exit(1);  // no finding: the disk is full, say
  }
}

}  // namespace vim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    vim::fuzz::read({reinterpret_cast<const char*>(data), size});
  } catch (const vim::Error& error) {
    if (error.what()[0] == '\0') std::abort();  // an error that says nothing
  }
  return 0;
}
