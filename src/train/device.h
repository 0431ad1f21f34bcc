#pragma once

#include <c10/core/Device.h>
#include <c10/core/StreamGuard.h>

#include <optional>
#include <string>

namespace vim::train {

// "auto", "cpu", "cuda" or "cuda:1" as a device that is there and that this build has ops for; the
// first two GPU names mean the one of this `local_rank`. Throws UsageError.
c10::Device choose_device(const std::string& name, int local_rank = 0);

// GPUs that choose_device("auto") can choose from.
int count_gpus();

// On a GPU, makes a stream of its own the current one, since the default stream cannot be recorded
// as a graph. To be entered before the model is built: what autograd remembers of a stream dates
// from then. Nothing on a CPU.
std::optional<c10::StreamGuard> own_stream(c10::Device device);

}  // namespace vim::train
