#include "vim/ops/gpu.h"

#include <sstream>
#include <vector>

#include "vim/core/text.h"
#ifdef VIM_WITH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>

#include "ops/gpu/probe.h"
#endif

namespace vim::ops {
namespace {

// "80-real 90" as "sm_80, sm_90 + PTX".
std::string in_words(const std::string& architectures) {
  std::istringstream list(architectures);
  std::string words;
  for (std::string entry; list >> entry;) {
    if (!words.empty()) words += ", ";
    const size_t dash = entry.find('-');
    const std::string number = entry.substr(0, dash), kind = entry.substr(number.size());
    if (kind == "-virtual") {
      words += "PTX of " + number;
    } else if (number.find_first_not_of("0123456789") == 0) {  // "native", "all"
      words += number;
    } else {
      words += "sm_" + number + (kind == "-real" ? "" : " + PTX");
    }
  }
  return words;
}

}  // namespace

std::string missing_architecture(const std::string& gpu, int major, int minor,
                                 const std::string& architectures) {
  return concat("this build has kernels for ", in_words(architectures), ", none of which runs on ",
                gpu, ", which is sm_", major, minor,
                "; configure it with -DCMAKE_CUDA_ARCHITECTURES=", major, minor);
}

#ifdef VIM_WITH_CUDA

std::string gpu_problem(int index) {
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(index));
  const cudaError_t error = probe();
  if (error == cudaSuccess) return "";
  cudaGetLastError();  // or the next check of a launch would find it
  const cudaDeviceProp& gpu = *at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index));
  if (error == cudaErrorUnsupportedPtxVersion) {
    return concat("the driver is too old to translate this build's PTX for ", gpu.name,
                  "; update it, or configure with -DCMAKE_CUDA_ARCHITECTURES=", gpu.major,
                  gpu.minor);
  }
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction) {
    return missing_architecture(gpu.name, gpu.major, gpu.minor, VIM_CUDA_ARCHITECTURES);
  }
  return concat(gpu.name, " does not answer: ", cudaGetErrorString(error));
}

#else

std::string gpu_problem(int /*index*/) {
  return "this build has no kernels for GPUs; configure it with -DVIM_CUDA=ON";
}

#endif

}  // namespace vim::ops
