#include "train/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/ops/ops.h"

namespace vim::train {

c10::Device choose_device(const std::string& name) {
  if (name == "cpu") return c10::kCPU;
  const bool is_auto = name == "auto";
  if (!is_auto && name != "cuda" && !name.starts_with("cuda:")) {
    throw UsageError(concat("device: unknown device '", name, "'; use auto, cpu, cuda, or cuda:N"));
  }
  const auto unavailable = [&](const std::string& why) -> c10::Device {
    if (!is_auto)
      throw UsageError(concat("device: ", name, " was asked for, but ", why, "; use device: cpu"));
    return c10::kCPU;
  };
  if (!at::hasCUDA()) return unavailable("there is no CUDA device, or this LibTorch has no CUDA");
  if (!ops::supports(c10::kCUDA)) {
    log::info(
        "there is a GPU, but this version's ops have no CUDA kernels yet: training on the CPU");
    return unavailable("this version's ops have no CUDA kernels");
  }
  int64_t index = 0;
  if (name.starts_with("cuda:")) {
    const std::string digits = name.substr(5);
    if (digits.empty() || digits.size() > 3 ||
        digits.find_first_not_of("0123456789") != std::string::npos ||
        std::stoll(digits) >= at::detail::getCUDAHooks().deviceCount()) {
      throw UsageError(concat("device: there is no ", name, "; GPUs are numbered from cuda:0"));
    }
    index = std::stoll(digits);
  }
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

}  // namespace vim::train
