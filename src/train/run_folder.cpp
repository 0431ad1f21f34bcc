#include "train/run_folder.h"

#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;

namespace vim::train {

bool RunFolder::holds_run() const {
  return fs::exists(config()) || fs::exists(metrics()) || fs::exists(checkpoints());
}

void RunFolder::remove_run() const {
  for (const fs::path& path : {config(), metrics(), checkpoints()}) {
    std::error_code problem;
    fs::remove_all(path, problem);
    if (problem) throw Error(concat(path.string(), ": cannot remove: ", problem.message()));
  }
}

void RunFolder::create(const std::string& resolved_config) const {
  std::error_code problem;
  fs::create_directories(checkpoints(), problem);
  if (problem) throw Error(concat(checkpoints().string(), ": cannot create: ", problem.message()));
  write_atomically(config(), resolved_config);
}

}  // namespace vim::train
