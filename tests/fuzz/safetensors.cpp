#include "vim/io/safetensors.h"

#include "fuzz/target.h"
#include "fuzz/tensors.h"

namespace vim::fuzz {

void read(std::string_view bytes) {
  const auto path = folder() / "x";
  write(path, bytes);
  const io::TensorFile file = io::read_safetensors(path);
  touch(file);
  io::read_safetensors_metadata(path);
  io::has_written_header(path, file);
}

}  // namespace vim::fuzz
