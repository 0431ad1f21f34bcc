// The process group over LibTorch's c10d, for worlds of more than one.
#pragma once

#include <memory>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include "dist/watch.h"
#include "vim/dist/process_group.h"

namespace vim::dist {

class C10dGroup : public ProcessGroup {
 public:
  C10dGroup(const Launch& launch, c10::Device device, const DistConfig& config);
  ~C10dGroup() override;

  int rank() const override { return launch_.rank; }
  int size() const override { return launch_.size; }
  int core_sharers() const override { return core_sharers_; }
  void all_reduce_sum(at::Tensor& tensor) override;
  void broadcast(at::Tensor& tensor, int root) override;
  void barrier() override;
  std::vector<std::string> all_gather(const std::string& text) override;
  std::string broadcast(const std::string& text, int root) override;
  int agreed_stop() override;
  void mark(Activity activity) override { watch_->mark(activity); }
  void run(const std::function<void()>& body) override;

  const c10::intrusive_ptr<c10d::ProcessGroup>& c10d() const { return group_; }

  // Whether all ranks have GPUs of this machine that NVLink joins.
  bool is_linked() const { return is_linked_; }

 private:
  c10::intrusive_ptr<c10d::Store> open_store() const;
  struct Members {                       // by rank
    std::vector<std::string> names;      // "rank 1 (host a, pid 12)"
    std::vector<std::string> addresses;  // address_towards(rank 0)
  };
  Members meet();
  void connect(const std::vector<std::string>& addresses);
  void leave();

  const Launch launch_;
  const c10::Device device_;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::unique_ptr<Watch> watch_;
  int core_sharers_ = 1;
  bool is_linked_ = false;
  int64_t exchanges_ = 0;  // of texts, so far
  at::Tensor vote_;        // the signal that asked to stop, while the ranks agree on it
  c10::intrusive_ptr<c10d::Work> voting_;
  bool failed_ = false;
};

}  // namespace vim::dist
