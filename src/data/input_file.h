// Files that are read here and there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>

namespace vim::data {

// An open file. Safe to use from many threads at once; every failure throws Error with the path.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }  // when it was opened

  // Exactly that many bytes.
  void read(uint64_t offset, char* out, size_t size) const;

  // Asks the system to have that stretch in memory soon; returns without waiting for it.
  void will_read(uint64_t offset, uint64_t size) const;

 private:
  std::filesystem::path path_;
  int descriptor_;
  uint64_t size_ = 0;
};

// Keeps the files that were used last open, so that thousands of shards need few descriptors. Safe
// to use from many threads at once.
class OpenFiles {
 public:
  explicit OpenFiles(size_t limit) : limit_(limit) {}
  std::shared_ptr<const InputFile> open(const std::filesystem::path& path);

 private:
  std::mutex mutex_;
  size_t limit_;
  std::list<std::shared_ptr<const InputFile>> files_;  // the last used first
};

}  // namespace vim::data
