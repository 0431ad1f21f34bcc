#include "vim/dist/data_parallel.h"

#include <torch/nn/module.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <torch/csrc/distributed/c10d/default_comm_hooks.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "dist/c10d_group.h"
#include "dist/fused_reducer.h"
#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::dist {
namespace {

using c10::ivalue::Future;

// The mean of the buckets' values as bfloat16, half the bytes of fp32. Each rank divides first, so
// that the sum keeps the gradients' magnitude.
class Bf16Mean : public c10d::CppCommHookInterface<c10::intrusive_ptr<c10d::ProcessGroup>> {
 public:
  using CppCommHookInterface::CppCommHookInterface;

  c10::intrusive_ptr<Future> runHook(c10d::GradBucket& bucket) override {
    const at::Tensor full = bucket.getBuffer();
    std::vector<at::Tensor> half = {full.to(at::kBFloat16).div_(state_->getSize())};
    return state_->allreduce(half)->getFuture()->then(
        [full](Future& reduced) {
          full.copy_(reduced.value().toTensorList().get(0));
          return c10::IValue(full);
        },
        c10::TensorType::get());
  }
};

bool is_fused(const DistConfig& config, c10::Device device) {
  if (config.reducer == Reducer::kFused && config.find_unused_parameters) {
    throw UsageError(
        "dist.reducer: fused cannot find unused parameters; set it to c10d, or "
        "dist.find_unused_parameters: false");
  }
  if (config.reducer != Reducer::kAuto) return config.reducer == Reducer::kFused;
  return device.is_cuda() && !config.find_unused_parameters;
}

// Bytes of a bucket, that of the first parameters, which is sent last and hides behind nothing, and
// those of the others. Over NVLink everything goes at once: to send while kernels run takes
// processors from them, and a second stream takes time from a recorded step, more than is hidden.
std::vector<size_t> bucket_limits(const DistConfig& config, bool over_nvlink) {
  if (over_nvlink && !config.bucket_megabytes) return {std::numeric_limits<size_t>::max()};
  const auto limit = config.bucket_megabytes
                         ? static_cast<size_t>(std::ldexp(*config.bucket_megabytes, 20))
                         : size_t{c10d::kDefaultBucketBytesCap};
  return {std::min(limit, size_t{c10d::kDefaultFirstBucketBytes}), limit};
}

}  // namespace

class DataParallel::Impl {
 public:
  Impl(const torch::nn::Module& model, C10dGroup& group, const DistConfig& config);
  void backward(const at::Tensor& loss);
  bool is_capturable() const { return !find_unused_; }
  std::vector<at::Tensor> empty_buckets() const;

 private:
  [[noreturn]] void refuse_unused() const;
  bool has_all_gradients() const;

  const bool find_unused_, as_bf16_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> parameters_;
  std::unique_ptr<FusedReducer> fused_;  // one of the two
  std::unique_ptr<c10d::Reducer> reducer_;
  bool is_first_ = true;
};

DataParallel::Impl::Impl(const torch::nn::Module& model, C10dGroup& group, const DistConfig& config)
    : find_unused_(config.find_unused_parameters), as_bf16_(config.bf16_gradients) {
  for (const auto& entry : model.named_parameters()) {
    if (!entry.value().requires_grad()) continue;
    names_.push_back(entry.key());
    parameters_.push_back(entry.value());
  }
  const bool fused = is_fused(config, parameters_.front().device());
  const std::vector<bool> dense(parameters_.size(), false);
  const std::vector<size_t> limits = bucket_limits(config, fused && group.is_linked());
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(parameters_, limits, dense));
  std::ranges::reverse(buckets);  // about the order of the backward pass
  if (fused) {
    fused_ = std::make_unique<FusedReducer>(parameters_, buckets, group.c10d(), as_bf16_);
    return;
  }
  // Which learns the true order in the first step.
  reducer_ = std::make_unique<c10d::Reducer>(
      parameters_, std::move(buckets), group.c10d(), dense, limits.back(), find_unused_,
      /*gradient_as_bucket_view=*/true, std::unordered_map<size_t, std::string>{}, limits.front(),
      /*skip_all_reduce_unused_params=*/false,
      /*use_python_reducer=*/false, std::vector<int64_t>{});
  if (as_bf16_) reducer_->register_comm_hook(std::make_unique<Bf16Mean>(group.c10d()));
}

void DataParallel::Impl::backward(const at::Tensor& loss) {
  if (fused_) {
    if (!fused_->backward(loss)) refuse_unused();
    return;
  }
  reducer_->rebuild_buckets();
  reducer_->prepare_for_backward(find_unused_ ? std::vector<at::Tensor>{loss}
                                              : std::vector<at::Tensor>{});
  loss.backward();
  // The reducer would notice in the next step, and could not name them all.
  if (is_first_ && !find_unused_ && !has_all_gradients()) refuse_unused();
  is_first_ = false;
}

bool DataParallel::Impl::has_all_gradients() const {
  return std::ranges::all_of(parameters_, [](const at::Tensor& p) { return p.grad().defined(); });
}

void DataParallel::Impl::refuse_unused() const {
  std::vector<std::string> unused;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (!parameters_[i].grad().defined()) unused.push_back(names_[i]);
  }
  throw Error(concat("these parameters take no part in the loss: ", join(unused, ", "),
                     "; freeze them, or set dist.find_unused_parameters=true"));
}

std::vector<at::Tensor> DataParallel::Impl::empty_buckets() const {
  if (fused_) return fused_->empty_buckets();
  std::vector<at::Tensor> buckets;
  for (const c10d::GradBucket& bucket : reducer_->get_grad_buckets(/*return_zero_tensors=*/true)) {
    const at::Tensor& zeros = bucket.getBuffer();
    buckets.push_back(as_bf16_ ? zeros.to(at::kBFloat16) : zeros);
  }
  return buckets;
}

DataParallel::DataParallel(const torch::nn::Module& model, ProcessGroup& group,
                           const DistConfig& config) {
  auto* c10d = dynamic_cast<C10dGroup*>(&group);
  VIM_CHECK(c10d != nullptr);
  impl_ = std::make_unique<Impl>(model, *c10d, config);
}

DataParallel::~DataParallel() = default;

void DataParallel::backward(const at::Tensor& loss) {
  impl_->backward(loss);
}

bool DataParallel::is_capturable() const {
  return impl_->is_capturable();
}

std::vector<at::Tensor> DataParallel::empty_buckets() const {
  return impl_->empty_buckets();
}

}  // namespace vim::dist
