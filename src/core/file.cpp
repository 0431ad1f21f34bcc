#include "vim/core/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;

namespace vim {
namespace {

// Makes a rename in `folder` durable. Some file systems cannot sync folders; they say EINVAL.
void sync_folder(const fs::path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw Error(concat(folder.string(), ": cannot open: ", std::strerror(errno)));
  const bool synced = fsync(descriptor) == 0 || errno == EINVAL;
  const int reason = errno;
  close(descriptor);
  if (!synced) throw Error(concat(folder.string(), ": cannot sync: ", std::strerror(reason)));
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(concat(path.string(), ": cannot open: ", std::strerror(errno)));
  // istream::read, unlike stream iterators, turns the buffer's exceptions (a folder, say) into
  // badbit.
  std::string content, block(1 << 16, '\0');
  while (file.read(block.data(), std::ssize(block)), file.gcount() > 0) {
    content.append(block, 0, static_cast<size_t>(file.gcount()));
  }
  if (file.bad()) throw Error(concat(path.string(), ": cannot read: ", std::strerror(errno)));
  return content;
}

FileWriter::FileWriter(const fs::path& path)
    : path_(path), descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) fail("create");
}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) close(descriptor_);
}

void FileWriter::fail(const char* what) const {
  throw Error(concat(path_.string(), ": cannot ", what, ": ", std::strerror(errno)));
}

void FileWriter::write(const void* data, size_t size) {
  for (const char* next = static_cast<const char*>(data); size > 0;) {
    const ssize_t written = ::write(descriptor_, next, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    next += written;
    size -= static_cast<size_t>(written);
  }
}

void FileWriter::sync() {
  if (fsync(descriptor_) != 0) fail("sync");
}

void write_atomically(const fs::path& path, const std::function<void(FileWriter&)>& write) {
  const fs::path temporary = path.string() + std::string(kTemporarySuffix);
  try {
    FileWriter file(temporary);
    write(file);
    file.sync();
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  rename_durably(temporary, path);
}

void rename_durably(const fs::path& from, const fs::path& to) {
  std::error_code problem;
  fs::rename(from, to, problem);
  if (problem) throw Error(concat(to.string(), ": cannot write: ", problem.message()));
  sync_folder(to.has_parent_path() ? to.parent_path() : fs::path("."));
}

void write_atomically(const fs::path& path, std::string_view text) {
  write_atomically(path, [&](FileWriter& file) { file.write(text); });
}

}  // namespace vim
