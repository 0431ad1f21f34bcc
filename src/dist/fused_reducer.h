// Gradients averaged over ranks, gathered by one kernel a bucket.
#pragma once

#include <ATen/core/Tensor.h>

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <vector>

namespace vim::dist {

// As c10d::Reducer, which copies each gradient into its bucket by itself: with the hundreds of
// small parameters of a Vim, that takes a GPU longer than the reduction. Here, a bucket whose last
// gradient is there is filled, divided and sent, each by one kernel, while the backward pass goes
// on; buckets are sent in one order on all ranks. The last is sent behind it, on the same
// stream: nothing is left that it could go beside. Nothing is decided on the host but the order, so
// a backward pass can be recorded as a CUDA graph.
class FusedReducer {
 public:
  // Buckets hold the parameters of these indices, and are sent in this order.
  FusedReducer(std::vector<at::Tensor> parameters, const std::vector<std::vector<size_t>>& buckets,
               c10::intrusive_ptr<c10d::ProcessGroup> group, bool as_bf16);
  ~FusedReducer();
  FusedReducer(const FusedReducer&) = delete;
  FusedReducer& operator=(const FusedReducer&) = delete;

  // Afterwards the gradients are views of the buckets. Returns false where a parameter has none,
  // and then they are good for nothing.
  [[nodiscard]] bool backward(const at::Tensor& loss);

  // Zeros in place of what travels.
  std::vector<at::Tensor> empty_buckets() const;

 private:
  class Hook;
  struct Bucket {
    std::vector<at::Tensor> parameters;
    at::Tensor sent;                    // [elements of all], as it travels
    at::Tensor mean;                    // [elements of all], fp32; `sent` itself where that is fp32
    std::vector<at::Tensor> places;     // in `sent`, one a parameter
    std::vector<at::Tensor> gradients;  // in `mean`, shaped as the parameters
    size_t missing = 0;                 // gradients, in this backward pass
    c10::intrusive_ptr<c10d::Work> work;
  };

  Bucket make_bucket(const std::vector<at::Tensor>& parameters, const std::vector<size_t>& indices);
  void note_gradient(size_t bucket);
  // Returns what to wait for; nothing where the current stream does by itself.
  c10::intrusive_ptr<c10d::Work> send(Bucket& bucket, bool beside_others);

  std::vector<at::Tensor> parameters_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  bool as_bf16_;
  std::vector<Bucket> buckets_;
  size_t next_ = 0;           // to be sent
  bool is_reducing_ = false;  // else gradients accumulate
};

}  // namespace vim::dist
