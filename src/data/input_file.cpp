#include "data/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::data {

InputFile::InputFile(const std::filesystem::path& path)
    : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0)
    throw Error(concat(path.string(), ": cannot be opened: ", std::strerror(errno)));
  struct stat status {};
  if (::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) {
    size_ = static_cast<uint64_t>(status.st_size);
    return;
  }
  ::close(descriptor_);
  throw Error(concat(path.string(), ": is no regular file"));
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read(uint64_t offset, char* out, size_t size) const {
  while (size > 0) {
    const ssize_t got = ::pread(descriptor_, out, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(concat(path_.string(), ": cannot be read: ", std::strerror(errno)));
    if (got == 0) throw Error(concat(path_.string(), ": ends too early"));
    out += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
}

void InputFile::will_read(uint64_t offset, uint64_t size) const {
  ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(size),
                  POSIX_FADV_WILLNEED);
}

std::shared_ptr<const InputFile> OpenFiles::open(const std::filesystem::path& path) {
  {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::ranges::find_if(files_, [&](const auto& file) { return file->path() == path; });
    if (found != files_.end()) {
      files_.splice(files_.begin(), files_, found);
      return files_.front();
    }
  }
  // Without the lock: on a network it takes its time. Two threads may both open it.
  auto file = std::make_shared<const InputFile>(path);
  const std::lock_guard lock(mutex_);
  files_.push_front(file);
  if (files_.size() > limit_) files_.pop_back();
  return file;
}

}  // namespace vim::data
