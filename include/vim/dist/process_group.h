// The processes that train one model together.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

namespace vim::dist {

// A world of `size()` processes, this one being number `rank()`. Every method is collective: all
// ranks call it, in the same order. Methods block until the result is there.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void all_reduce_sum(at::Tensor& tensor) = 0;
  virtual void broadcast(at::Tensor& tensor, int root) = 0;
  virtual void barrier() = 0;

  bool is_main() const { return rank() == 0; }
};

// The group that the environment describes; a world of one where it describes none. Throws
// UsageError where it asks for what this build cannot do.
std::unique_ptr<ProcessGroup> make_process_group();

}  // namespace vim::dist
