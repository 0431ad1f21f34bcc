#include "train/world.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "train/device.h"
#include "vim/core/log.h"

namespace vim::train {

World join_world(const RunConfig& config) {
  const dist::Launch launch = dist::detect_launch();
  if (launch.rank != 0) log::set_level(log::Level::kWarning);
  const c10::Device device = choose_device(config.device, launch.local_rank);
  return {device, dist::make_process_group(launch, device, config.dist)};
}

int threads_of(const RunConfig& config, const dist::ProcessGroup& group) {
  const int share = std::max(1, at::get_num_threads() / group.core_sharers());
  return config.threads ? static_cast<int>(*config.threads) : share;
}

}  // namespace vim::train
