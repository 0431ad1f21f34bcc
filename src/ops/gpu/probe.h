#pragma once

#include <cuda_runtime_api.h>

namespace vim::ops {

// Whether the current device can load a kernel of this build; all are compiled for the same
// architectures.
cudaError_t probe();

}  // namespace vim::ops
