#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iomanip>
#include <sstream>

#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;

namespace vim::train {

fs::path RunFolder::dump(int64_t step) const {
  std::ostringstream name;
  name << "step_" << std::setw(8) << std::setfill('0') << step << ".safetensors";
  return dumps() / name.str();
}

bool RunFolder::holds_run() const {
  return fs::exists(config()) || fs::exists(metrics()) || fs::exists(checkpoints());
}

void RunFolder::remove_run() const {
  for (const fs::path& path : {config(), metrics(), checkpoints(), dumps()}) {
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

void RunFolder::require_creatable() const {
  std::error_code problem;
  fs::path there = fs::absolute(root());
  while (there.has_relative_path() && !fs::exists(there, problem)) there = there.parent_path();
  int reason = 0;
  if (!fs::is_directory(there, problem)) {
    reason = ENOTDIR;
  } else if (access(there.c_str(), W_OK | X_OK) != 0) {
    reason = errno;
  }
  if (reason != 0) {
    throw Error(concat(root().string(), ": cannot create: ", there.string(), ": ",
                       std::strerror(reason), "; choose another --output"));
  }
}

RunLock::RunLock(const RunFolder& folder) {
  std::error_code problem;
  fs::create_directories(folder.root(), problem);
  if (problem) throw Error(concat(folder.root().string(), ": cannot create: ", problem.message()));
  const std::string path = folder.lock().string();
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw Error(concat(path, ": cannot open: ", std::strerror(errno)));
  if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    close(descriptor_);
    if (reason != EWOULDBLOCK) {
      throw Error(concat(path, ": cannot lock: ", std::strerror(reason)));
    }
    throw Error(concat(folder.root().string(), ": process ", read_file(path),
                       " is training into this folder; wait for it, stop it, or choose another "
                       "--output"));
  }
  const std::string process = std::to_string(getpid());
  if (ftruncate(descriptor_, 0) != 0 ||
      pwrite(descriptor_, process.data(), process.size(), 0) != std::ssize(process)) {
    const int reason = errno;
    close(descriptor_);
    throw Error(concat(path, ": cannot write: ", std::strerror(reason)));
  }
}

RunLock::~RunLock() {
  close(descriptor_);
}

}  // namespace vim::train
