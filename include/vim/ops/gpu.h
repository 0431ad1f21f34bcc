// Whether a GPU can run the kernels of this build.
#pragma once

#include <string>

namespace vim::ops {

// Why it cannot, for the GPU of this number: a sentence with the way out. Empty where it can.
std::string gpu_problem(int index);

// That sentence. `architectures` as CMAKE_CUDA_ARCHITECTURES has them, with spaces between them:
// "80-real 90".
std::string missing_architecture(const std::string& gpu, int major, int minor,
                                 const std::string& architectures);

}  // namespace vim::ops
