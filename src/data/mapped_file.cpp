#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::data {

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    throw Error(concat(path.string(), ": cannot be opened: ", std::strerror(errno)));
  struct stat status {};
  const bool known = ::fstat(descriptor, &status) == 0;
  const auto size = static_cast<size_t>(status.st_size);
  void* const data =
      known && size > 0 ? ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0) : MAP_FAILED;
  const int reason = errno;
  ::close(descriptor);
  if (data == MAP_FAILED) {
    throw Error(concat(path.string(),
                       ": cannot be mapped: ", size == 0 ? "it is empty" : std::strerror(reason)));
  }
  bytes_ = {static_cast<const char*>(data), size};
}

MappedFile::~MappedFile() {
  ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

}  // namespace vim::data
