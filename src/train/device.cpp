#include "train/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/ops/gpu.h"
#include "vim/ops/ops.h"

namespace vim::train {

int count_gpus() {
  return at::hasCUDA() && ops::supports(c10::kCUDA) ? at::detail::getCUDAHooks().deviceCount() : 0;
}

c10::Device choose_device(const std::string& name, int local_rank) {
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
  // Slurm may show each process its own GPU alone.
  const int gpus = count_gpus();
  int64_t index = gpus == 1 ? 0 : local_rank;
  if (index >= gpus) {
    throw UsageError(concat("there is no GPU for process ", local_rank + 1,
                            " of this machine, which has ", gpus,
                            "; start at most one process a GPU"));
  }
  if (name.starts_with("cuda:")) {
    const std::string digits = name.substr(5);
    if (digits.empty() || digits.size() > 3 ||
        digits.find_first_not_of("0123456789") != std::string::npos || std::stoll(digits) >= gpus) {
      throw UsageError(concat("device: there is no ", name, "; GPUs are numbered from cuda:0"));
    }
    if (local_rank > 0) {
      throw UsageError(concat("device: ", name, " is one GPU, and this is process ", local_rank + 1,
                              " of this machine; device: cuda gives each its own"));
    }
    index = std::stoll(digits);
  }
  const auto problem = ops::gpu_problem(static_cast<int>(index));
  if (!problem.empty()) throw UsageError(concat("device: ", problem, ", or use device: cpu"));
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

std::optional<c10::StreamGuard> own_stream(c10::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  return std::optional<c10::StreamGuard>(
      std::in_place, c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device));
}

}  // namespace vim::train
