// Tar files: ustar, read with the extensions of GNU (long names, large numbers) and POSIX (pax
// headers), written with the latter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/input_file.h"

namespace vim {
class FileWriter;
}

namespace vim::data {

struct TarMember {
  enum class Kind { kFile, kHardLink, kOther };
  std::string name;
  Kind kind = Kind::kFile;
  uint64_t offset = 0, size = 0;  // of its content
};

// What is where: goes through the members of a file in their order; the content stays where it is.
// Every size and place is checked against the file; Error names the file and the place.
class TarReader {
 public:
  explicit TarReader(const InputFile& file) : file_(file) {}

  // Nothing at the end.
  std::optional<TarMember> next();

  // The content of a member of this file, which is to be small.
  std::string content(const TarMember& member);

 private:
  // What the headers before a member say of it.
  struct Extensions {
    std::optional<std::string> name;
    std::optional<uint64_t> size;
  };
  [[noreturn]] void fail(std::string_view reason) const;
  std::string_view bytes(uint64_t offset, size_t size);
  uint64_t end_of(uint64_t offset, uint64_t size) const;
  void read_pax(std::string_view records, Extensions& extensions) const;

  const InputFile& file_;
  uint64_t at_ = 0;           // the next header
  Extensions global_;         // for all that follow
  uint64_t buffered_ = 0;     // offset of `buffer_`
  std::vector<char> buffer_;  // a piece of the file
};

// Writes files, of nobody and of no time: the same members are the same bytes.
class TarWriter {
 public:
  explicit TarWriter(FileWriter& file) : file_(file) {}
  void add(const std::string& name, std::string_view content);
  void finish();

 private:
  void add_member(char type, std::string_view name, std::string_view content);

  FileWriter& file_;
};

}  // namespace vim::data
