#pragma once

#include <c10/core/Device.h>

#include <string>

namespace vim::train {

// "auto", "cpu", "cuda" or "cuda:1" as a device that is there and that this build has ops for.
// Throws UsageError.
c10::Device choose_device(const std::string& name);

}  // namespace vim::train
