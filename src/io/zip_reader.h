// Zip archives, whose entries PyTorch stores as they are. Others in the archive are not read.
#pragma once

#include <cstdint>
#include <istream>
#include <map>
#include <string>

namespace vim::io {

class ZipReader {
 public:
  struct Entry {
    uint64_t begin = 0;  // of its bytes in the file
    uint64_t size = 0;
    uint32_t crc = 0;
    bool is_plain = true;  // neither compressed nor encrypted: can be read
  };

  // Reads the directory and checks that every entry lies within the file, and none on another.
  // Throws Malformed. `file` outlives the reader.
  ZipReader(std::istream& file, uint64_t file_size);

  const std::map<std::string, Entry>& entries() const { return entries_; }

  // Reads entry.size bytes to `data` and compares their checksum.
  void read(const std::string& name, const Entry& entry, void* data) const;

 private:
  struct Directory {
    uint64_t begin, size, count;
  };
  Directory find_directory(uint64_t file_size) const;
  std::string bytes(uint64_t begin, uint64_t size) const;
  uint64_t data_begin(uint64_t local_header, uint64_t limit, const std::string& name) const;

  std::istream& file_;
  std::map<std::string, Entry> entries_;
};

}  // namespace vim::io
