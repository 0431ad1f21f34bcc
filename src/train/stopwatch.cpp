#include "train/stopwatch.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#ifdef VIM_WITH_CUDA
#include <ATen/cuda/CUDAContext.h>
#endif

#include <algorithm>
#include <chrono>
#include <vector>

#include "vim/core/text.h"

namespace vim::train {
namespace {

using Work = std::function<void()>;

// Calls before the clock runs: a step records its graph in the third, one of several processes in
// the twelfth.
int warmup_of(at::Device device, bool alone) {
  return alone ? 5 : device.is_cuda() ? 14 : 2;
}

constexpr int kRounds = 15;  // each of as many calls as fit into its share of the time

double time_calls(const Work& work, int calls, at::Device device) {
  if (!device.is_cuda()) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  }
  const c10::impl::VirtualGuardImpl guard(device.type());
  c10::Event start(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  c10::Event end(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  start.record(guard.getStream(device));
  for (int i = 0; i < calls; ++i) work();
  end.record(guard.getStream(device));
  end.synchronize();
  return start.elapsedTime(end);
}

}  // namespace

double median_milliseconds(const Work& work, double seconds, at::Device device,
                           dist::ProcessGroup* group) {
  time_calls(work, warmup_of(device, group == nullptr), device);
  const double once = time_calls(work, 1, device);
  int calls = std::max(1, static_cast<int>(1000 * seconds / kRounds / std::max(once, 1e-3)));
  if (group != nullptr) calls = std::stoi(group->broadcast(std::to_string(calls), 0));
  std::vector<double> rounds;
  for (int i = 0; i < kRounds; ++i) {
    if (group != nullptr) group->barrier();
    double slowest = time_calls(work, calls, device) / calls;
    if (group != nullptr) {
      for (const std::string& of_rank : group->all_gather(std::to_string(slowest))) {
        slowest = std::max(slowest, std::stod(of_rank));
      }
    }
    rounds.push_back(slowest);
  }
  std::ranges::nth_element(rounds, rounds.begin() + kRounds / 2);
  return rounds[kRounds / 2];
}

PeakMemory::PeakMemory(at::Device device) : device_(device) {
  if (!device.is_cuda()) return;
  at::getDeviceAllocator(device.type())->emptyCache();
  at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
}

double PeakMemory::bytes() const {
  if (!device_.is_cuda()) return 0;
  const auto stats = at::getDeviceAllocator(device_.type())->getDeviceStats(device_.index());
  constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return static_cast<double>(stats.allocated_bytes[kAll].peak);
}

double copy_bandwidth(at::Device device) {
  const int64_t size = int64_t{device.is_cuda() ? 1024 : 256} << 20;
  const at::Tensor from = at::zeros({size}, at::TensorOptions(device).dtype(at::kByte));
  at::Tensor to = at::empty_like(from);
  const double milliseconds = median_milliseconds([&] { to.copy_(from); }, 0.2, device);
  return 2e3 * static_cast<double>(size) / milliseconds;
}

std::string describe([[maybe_unused]] at::Device device) {
#ifdef VIM_WITH_CUDA
  if (device.is_cuda()) return at::cuda::getDeviceProperties(device.index())->name;
#endif
  return concat("CPU, ", at::get_num_threads(), " threads");
}

}  // namespace vim::train
