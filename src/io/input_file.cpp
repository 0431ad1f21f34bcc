#include "io/input_file.h"

#include <cerrno>
#include <cstring>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::io {

InputFile::InputFile(const std::filesystem::path& path) {
  std::error_code problem;
  size = std::filesystem::file_size(path, problem);
  if (problem) throw Error(concat(path.string(), ": cannot open: ", problem.message()));
  stream.open(path, std::ios::binary);
  if (!stream) throw Error(concat(path.string(), ": cannot open: ", std::strerror(errno)));
}

}  // namespace vim::io
