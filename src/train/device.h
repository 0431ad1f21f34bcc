#pragma once

#include <c10/core/Device.h>

#include <string>

namespace vim::train {

// "auto", "cpu", "cuda" or "cuda:1" as a device that is there and that this build has ops for; the
// first two GPU names mean the one of this `local_rank`. Throws UsageError.
c10::Device choose_device(const std::string& name, int local_rank = 0);

// GPUs that choose_device("auto") can choose from.
int count_gpus();

}  // namespace vim::train
