#include "vim/io/tensor_file.h"

#include <array>

#include "io/input_file.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/io/safetensors.h"
#include "vim/io/torch_file.h"

namespace fs = std::filesystem;

namespace vim::io {

// A safetensors file begins with eight bytes of length and a brace. Its length may begin as
// PyTorch's files do, so the brace decides.
TensorFile read_tensors(const fs::path& path) {
  InputFile file(path);
  std::array<char, 9> head{};
  file.stream.read(head.data(), head.size());
  const bool is_torch =
      head[8] != '{' && (std::string_view(head.data(), 2) == "PK" || head[0] == '\x80');
  return is_torch ? read_torch(path) : read_safetensors(path);
}

void write_tensors(const fs::path& path, const TensorFile& content) {
  const std::string extension = path.extension();
  if (extension == ".safetensors") {
    write_safetensors(path, content);
  } else if (extension == ".pth" || extension == ".pt") {
    write_torch(path, content);
  } else {
    throw UsageError(concat(path.string(), ": unknown format '", extension,
                            "'; name the file .safetensors, .pth or .pt"));
  }
}

}  // namespace vim::io
