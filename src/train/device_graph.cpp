#include "train/device_graph.h"

#ifdef VIM_WITH_CUDA
#include <ATen/cuda/CUDAGraph.h>
#endif

#include "vim/core/error.h"

namespace vim::train {

#ifdef VIM_WITH_CUDA

struct DeviceGraph::Impl {
  at::cuda::CUDAGraph graph;
};

// Other threads, such as that of the data loader, may go on allocating pinned memory.
void DeviceGraph::record(const std::function<void()>& work) {
  auto impl = std::make_unique<Impl>();
  impl->graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
  work();
  impl->graph.capture_end();
  impl_ = std::move(impl);
}

void DeviceGraph::replay() {
  impl_->graph.replay();
}

#else

struct DeviceGraph::Impl {};

void DeviceGraph::record(const std::function<void()>&) {
  VIM_CHECK(!"a build without CUDA has no device to record");
}
void DeviceGraph::replay() {}

#endif

DeviceGraph::DeviceGraph() = default;
DeviceGraph::~DeviceGraph() = default;

}  // namespace vim::train
