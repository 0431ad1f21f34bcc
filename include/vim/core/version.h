#pragma once

#include <string>

namespace vim {

// For --version and the checkpoint: "0.1.0 (commit 0123456789ab, LibTorch 2.11.0)".
std::string version();

}  // namespace vim
