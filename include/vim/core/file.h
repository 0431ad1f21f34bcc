// Files that are whole or absent.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace vim {

std::string read_file(const std::filesystem::path& path);

// An open file that is being written. Every failure (a full disk, say) throws Error with the path.
class FileWriter {
 public:
  explicit FileWriter(const std::filesystem::path& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void sync();  // to the disk itself

 private:
  [[noreturn]] void fail(const char* what) const;
  std::filesystem::path path_;
  int descriptor_;
};

// Lets `write` fill a temporary file beside `path`, syncs it, and renames it to `path`: whoever
// looks, at any time and after any crash, finds the old file or the whole new one. On an exception
// the temporary file is removed and `path` is untouched.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(FileWriter&)>& write);
void write_atomically(const std::filesystem::path& path, std::string_view text);

// Renames within a folder, replacing what has the name, and waits until that is on the disk. Throws
// Error with the path.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

// The suffix of temporary files; one that lies around belongs to a process that was killed.
inline constexpr std::string_view kTemporarySuffix = ".tmp";

}  // namespace vim
