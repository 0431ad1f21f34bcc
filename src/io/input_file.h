// A file that is about to be read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>

namespace vim::io {

struct InputFile {
  // Error where it cannot be opened.
  explicit InputFile(const std::filesystem::path& path);
  std::ifstream stream;
  uint64_t size = 0;
};

}  // namespace vim::io
