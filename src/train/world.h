// The processes that the environment describes, and this one's share of the machine.
#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "vim/dist/process_group.h"
#include "vim/train/config.h"

namespace vim::train {

struct World {
  c10::Device device;  // this process's
  std::unique_ptr<dist::ProcessGroup> group;
};

// Joins the world that the launcher's environment describes; one of one process without a launcher.
World join_world(const RunConfig& config);

// Threads for this process: as configured, or its share where processes share cores.
int threads_of(const RunConfig& config, const dist::ProcessGroup& group);

}  // namespace vim::train
