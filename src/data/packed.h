// The packed record file: all images of a split in one file that is mapped into memory.
//
//   "vim-pack"                                   8 bytes
//   records                                      the images' bytes, one after another
//   index                                        an Entry for each image
//   names                                        of images, then of classes, each ended by a 0
//   Footer                                       64 bytes
//
// Numbers are little-endian. An image is the bytes of a JPEG or PNG file, or bare pixels.
// Everything is covered by a hash: a record by its entry's, index and names by the footer's, the
// footer by its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/mapped_file.h"

namespace vim {
class FileWriter;
}

namespace vim::data {

inline constexpr std::string_view kPackSuffix = ".vimpack";

struct PackEntry {
  uint64_t offset = 0, size = 0;  // of the record
  uint64_t hash = 0;              // of its bytes
  uint64_t name = 0;              // offset
  uint32_t label = 0;
  uint32_t width = 0, height = 0;  // of bare pixels
  uint32_t channels = 0;           // of bare pixels; 0: the bytes are a file
};
static_assert(sizeof(PackEntry) == 48);

struct PackFooter {
  uint64_t version = 1;
  uint64_t images = 0;
  uint64_t index = 0;    // offset
  uint64_t classes = 0;  // offset of the first class's name
  uint64_t reserved[2] = {};
  uint64_t index_hash = 0;  // from `index` to the footer
  uint64_t hash = 0;        // of the footer before this
};
static_assert(sizeof(PackFooter) == 64);

// Of an entry with bare pixels; they stay where they are.
cv::Mat pixels_of(const PackEntry& entry, std::string_view record);

// An open packed file. Safe to use from many threads at once.
class PackedFile {
 public:
  // Throws Error where it is no packed file, or its index is damaged.
  explicit PackedFile(const std::filesystem::path& path);

  int64_t size() const { return static_cast<int64_t>(footer_.images); }
  PackEntry entry(int64_t i) const;
  std::string_view name(int64_t i) const;
  std::string_view record(int64_t i) const;  // throws Error where its hash is another
  const std::vector<std::string>& classes() const { return classes_; }

 private:
  [[noreturn]] void fail(std::string_view reason) const;
  std::string_view text_at(uint64_t offset) const;

  std::filesystem::path path_;
  MappedFile file_;
  std::string_view bytes_;  // all of it
  PackFooter footer_;
  std::vector<std::string> classes_;
};

// What is put into a packed file.
struct PackedImage {
  std::string name = {};
  uint32_t label = 0;
  std::string bytes = {};  // of a file, or of pixels where there are channels
  uint32_t width = 0, height = 0, channels = 0;
};

// Writes a packed file, image after image in the order of the calls.
class PackWriter {
 public:
  explicit PackWriter(FileWriter& file);
  void add(const PackedImage& image);
  void finish(const std::vector<std::string>& classes);

 private:
  void write(std::string_view bytes);

  FileWriter& file_;
  uint64_t offset_ = 0;
  std::vector<PackEntry> entries_;
  std::string names_;
};

}  // namespace vim::data
