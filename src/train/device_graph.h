// Work of a GPU, recorded once and replayed: one launch in place of a thousand.
#pragma once

#include <functional>
#include <memory>

namespace vim::train {

// Tensors that the recorded work makes keep their place in memory, and those that it reads must
// stay where they are. It must not wait for the device. To be used on a stream other than the
// default one.
class DeviceGraph {
 public:
  DeviceGraph();
  ~DeviceGraph();

  bool recorded() const { return impl_ != nullptr; }

  // Runs `work` once to record it, which does nothing on the device.
  void record(const std::function<void()>& work);
  void replay();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vim::train
