// Time and memory on a device, for the benchmarks.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "vim/dist/process_group.h"

namespace vim::train {

// The median over rounds of the milliseconds of a call, by the device's own clock where it has one;
// the rounds take about `seconds` together. The first calls, in which a training step records its
// graph, are not counted. With a group all its processes call it: they make equally many calls, a
// round starts for all together, and its time is that of the slowest.
double median_milliseconds(const std::function<void()>& work, double seconds, at::Device device,
                           dist::ProcessGroup* group = nullptr);

// The device's memory at the peak since the scope began; what was cached before is given back.
class PeakMemory {
 public:
  explicit PeakMemory(at::Device device);
  double bytes() const;  // 0 on the CPU

 private:
  at::Device device_;
};

// Bytes a second, read and written ones together, of copying a tensor that no cache holds.
double copy_bandwidth(at::Device device);

// "NVIDIA H100 80GB HBM3", "CPU, 16 threads".
std::string describe(at::Device device);

}  // namespace vim::train
