#include "fuzz/target.h"
#include "fuzz/tensors.h"
#include "vim/io/torch_file.h"

namespace vim::fuzz {

// Zip archives and legacy files alike.
void read(std::string_view bytes) {
  write(folder() / "x", bytes);
  touch(io::read_torch(folder() / "x"));
}

}  // namespace vim::fuzz
