// The processes that train one model together.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vim/dist/config.h"
#include "vim/dist/launch.h"

namespace vim::dist {

// What a rank's main thread is at, as others read it when it comes no further. `patience` is for
// what may take minutes on one rank while others wait for it.
struct Activity {
  const char* name;  // "waiting for images"; lives for ever
  bool patience = false;
};

// A world of `size()` processes, this one being number `rank()`. Every method but `mark` is
// collective: all ranks call it, in the same order. Methods block until the result is there. Where
// another rank fails, this process ends by itself, with the cause on standard error and exit code
// 1, whatever its main thread waits for.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // How many of the processes share this one's CPU cores, itself included.
  virtual int core_sharers() const = 0;

  // Tensors on the CPU or on the device of the group.
  virtual void all_reduce_sum(at::Tensor& tensor) = 0;
  virtual void broadcast(at::Tensor& tensor, int root) = 0;
  virtual void barrier() = 0;

  // Everyone's text, by rank. For what is small and rare.
  virtual std::vector<std::string> all_gather(const std::string& text) = 0;
  virtual std::string broadcast(const std::string& text, int root) = 0;

  // The signal that asked any rank to stop, or 0; the same answer on all ranks. To be called once a
  // step: it collects what was asked before the previous call, so that nobody waits.
  virtual int agreed_stop() = 0;

  // Says what this process does from here on. A rank that the others wait for, and that has marked
  // nothing for DistConfig::timeout (half an hour with patience), has hung.
  virtual void mark(Activity activity) = 0;

  // What `body` throws ends the whole job, named as this rank's; `body` returning, or throwing
  // Stopped, is the orderly end of all ranks.
  virtual void run(const std::function<void()>& body) = 0;

  bool is_main() const { return rank() == 0; }
};

// Joins the world of `launch`; Gloo connects CPUs, NCCL CUDA devices. Throws Error where the others
// do not come.
std::unique_ptr<ProcessGroup> make_process_group(const Launch& launch, c10::Device device,
                                                 const DistConfig& config);

}  // namespace vim::dist
