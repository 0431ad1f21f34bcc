// A file as memory.
#pragma once

#include <filesystem>
#include <string_view>

namespace vim::data {

// Mapped read-only, for as long as this lives.
class MappedFile {
 public:
  // Throws Error, with the path, where it cannot be mapped or is empty.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace vim::data
