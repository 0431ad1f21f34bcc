#include "vim/core/version.h"

#include "commit.h"

namespace vim {

std::string version() {
  return VIM_VERSION " (commit " VIM_COMMIT ", LibTorch " VIM_LIBTORCH_VERSION ")";
}

}  // namespace vim
