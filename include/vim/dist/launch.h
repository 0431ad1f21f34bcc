// Who started this process, and which of how many it is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace vim::dist {

struct Launch {
  std::string launcher;  // "torchrun", "Open MPI", "Slurm", "--nproc"; empty: none
  int rank = 0, size = 1;
  int local_rank = 0;     // among the processes of this machine
  bool is_local = false;  // all of them are on this machine
  std::string host;       // where rank 0 can be reached
  uint16_t port = 0;
  std::string job;                // tells jobs apart that meet at the same host and port
  bool launcher_listens = false;  // at host and port, not rank 0
  std::optional<int> listener;    // an open socket that listens there, for rank 0
};

// The value of an environment variable.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> process_environment(const std::string& name);

// What the launcher's environment says; a world of one where there is no launcher. Throws
// UsageError where the environment is incomplete or contradicts itself.
Launch detect_launch(const Environment& environment = process_environment);

}  // namespace vim::dist
