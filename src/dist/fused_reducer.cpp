#include "dist/fused_reducer.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <utility>

namespace vim::dist {

class FusedReducer::Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(FusedReducer& reducer, size_t bucket) : reducer_(reducer), bucket_(bucket) {}
  void operator()(const torch::autograd::Variable&) override { reducer_.note_gradient(bucket_); }

 private:
  FusedReducer& reducer_;
  const size_t bucket_;
};

FusedReducer::FusedReducer(std::vector<at::Tensor> parameters,
                           const std::vector<std::vector<size_t>>& buckets,
                           c10::intrusive_ptr<c10d::ProcessGroup> group, bool as_bf16)
    : parameters_(std::move(parameters)), group_(std::move(group)), as_bf16_(as_bf16) {
  for (const std::vector<size_t>& indices : buckets) {
    for (const size_t index : indices) {
      torch::autograd::impl::set_post_acc_grad_hooks(
          parameters_[index], std::make_unique<Hook>(*this, buckets_.size()));
    }
    buckets_.push_back(make_bucket(parameters_, indices));
  }
}

FusedReducer::~FusedReducer() {
  for (const at::Tensor& parameter : parameters_) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
  }
}

FusedReducer::Bucket FusedReducer::make_bucket(const std::vector<at::Tensor>& parameters,
                                               const std::vector<size_t>& indices) {
  Bucket bucket;
  int64_t size = 0;
  for (const size_t index : indices) {
    bucket.parameters.push_back(parameters[index]);
    size += parameters[index].numel();
  }
  bucket.mean = at::zeros({size}, parameters[indices.front()].options().requires_grad(false));
  bucket.sent = as_bf16_ ? bucket.mean.to(at::kBFloat16) : bucket.mean;
  int64_t begin = 0;
  for (const at::Tensor& parameter : bucket.parameters) {
    bucket.places.push_back(bucket.sent.narrow(0, begin, parameter.numel()));
    bucket.gradients.push_back(
        bucket.mean.narrow(0, begin, parameter.numel()).view(parameter.sizes()));
    begin += parameter.numel();
  }
  return bucket;
}

bool FusedReducer::backward(const at::Tensor& loss) {
  for (Bucket& bucket : buckets_) bucket.missing = bucket.parameters.size();
  next_ = 0;
  is_reducing_ = true;
  loss.backward();
  is_reducing_ = false;
  for (const at::Tensor& parameter : parameters_) {
    if (!parameter.grad().defined()) return false;
  }
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < next_; ++i) std::exchange(buckets_[i].work, nullptr)->wait();
  // The last one, and what only earlier backward passes gave a gradient to.
  for (; next_ < buckets_.size(); ++next_) {
    if (const auto work = send(buckets_[next_], /*beside_others=*/false)) work->wait();
  }
  if (as_bf16_) {
    for (Bucket& bucket : buckets_) bucket.mean.copy_(bucket.sent);
  }
  return true;
}

// On the thread of the device, which runs the backward pass's nodes one after another.
void FusedReducer::note_gradient(size_t bucket) {
  if (!is_reducing_) return;
  --buckets_[bucket].missing;
  for (; next_ + 1 < buckets_.size() && buckets_[next_].missing == 0; ++next_) {
    buckets_[next_].work = send(buckets_[next_], /*beside_others=*/true);
  }
}

// Each rank divides first, so that a sum of bfloat16 keeps the gradients' magnitude.
c10::intrusive_ptr<c10d::Work> FusedReducer::send(Bucket& bucket, bool beside_others) {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : bucket.parameters) {
    gradients.push_back(parameter.grad().flatten());
  }
  at::_foreach_copy_(bucket.places, gradients);
  bucket.sent.div_(group_->getSize());
  std::vector<at::Tensor> tensors = {bucket.sent};
  c10d::AllreduceOptions options;
  options.asyncOp = beside_others;
  auto work = group_->allreduce(tensors, options);
  for (size_t i = 0; i < bucket.parameters.size(); ++i) {
    bucket.parameters[i].mutable_grad() = bucket.gradients[i];
  }
  return work;
}

std::vector<at::Tensor> FusedReducer::empty_buckets() const {
  std::vector<at::Tensor> zeros;
  for (const Bucket& bucket : buckets_) zeros.push_back(at::zeros_like(bucket.sent));
  return zeros;
}

}  // namespace vim::dist
