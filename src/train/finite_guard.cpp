#include "train/finite_guard.h"

#include <ATen/ATen.h>

#include <vector>

namespace vim::train {
namespace {

constexpr int64_t kCounts = 2, kNumbers = 6;  // of FiniteGuard::Report

std::vector<at::Tensor> values(const nn::Weights& weights) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : weights) tensors.push_back(tensor.detach());
  return tensors;
}

}  // namespace

FiniteGuard::FiniteGuard(nn::Weights weights) : weights_(std::move(weights)) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : weights_) kept_.emplace(name, at::zeros_like(tensor));
  const at::TensorOptions device(weights_.begin()->second.device());
  skip_ = at::zeros({}, device.dtype(at::kFloat));
  norm_ = at::zeros({}, device.dtype(at::kFloat));
  tally_ = at::zeros({2}, device.dtype(at::kDouble));
  report_ = at::zeros({kNumbers}, device.dtype(at::kDouble));
}

at::Tensor FiniteGuard::spread(const at::Tensor& loss) {
  return loss * (loss.detach() * 0 + 1);
}

void FiniteGuard::note(const at::Tensor& loss, const at::Tensor& norm, const at::Tensor& loss_scale,
                       const at::Tensor& overflow) {
  const at::NoGradGuard no_grad;
  norm_.copy_(norm);
  const at::Tensor bad_loss = loss.isfinite().logical_not();
  at::Tensor bad = norm.isfinite().logical_not().logical_or(bad_loss);
  at::Tensor scale = at::ones_like(report_[0]);
  if (loss_scale.defined()) {
    const at::Tensor overflowed = overflow.gt(0);
    skip_.copy_(bad.logical_or(overflowed));
    const at::Tensor excused = overflowed.logical_and(loss_scale.ge(1));
    bad = bad_loss.logical_or(bad.logical_and(excused.logical_not()));
    scale = loss_scale.to(at::kDouble);
  } else {
    skip_.copy_(bad);
  }
  const at::Tensor fault = bad.to(at::kDouble), loss_now = loss.to(at::kDouble);
  tally_.copy_(at::stack({loss_now.masked_fill(bad, 0), fault}));

  at::Tensor counts = report_.slice(0, 0, kCounts), first = report_.slice(0, kCounts);
  const at::Tensor is_first = bad.logical_and(counts[1].eq(0));
  const at::Tensor now = at::stack({counts[0], loss_now, norm.to(at::kDouble), scale});
  first.copy_(at::where(is_first, now, first));
  counts.add_(at::stack({at::ones_like(fault), fault}));
  keep(is_first);
}

// SGD at the rate -1 adds the weights to zeros: of the operators that read a condition on the
// device, the one that copies many tensors at once.
void FiniteGuard::keep(const at::Tensor& is_first) {
  if (!is_first.is_cuda()) {
    if (!is_first.item<bool>()) return;
    for (auto& [name, tensor] : kept_) tensor.copy_(weights_.at(name));
    return;
  }
  at::_fused_sgd_(values(kept_), values(weights_), /*momentum_buffer_list=*/{}, /*weight_decay=*/0,
                  /*momentum=*/0, /*lr=*/-1.0, /*dampening=*/0, /*nesterov=*/false,
                  /*maximize=*/false, /*is_first_step=*/false, /*grad_scale=*/std::nullopt,
                  /*found_inf=*/is_first.logical_not().to(at::kFloat));
}

FiniteGuard::Report FiniteGuard::report() const {
  const at::Tensor host = report_.cpu();
  const double* numbers = host.const_data_ptr<double>();
  return {static_cast<int64_t>(numbers[0]),
          static_cast<int64_t>(numbers[1]),
          static_cast<int64_t>(numbers[2]),
          numbers[3],
          numbers[4],
          numbers[5]};
}

void FiniteGuard::restart() {
  const at::NoGradGuard no_grad;
  report_.zero_();
  if (report_.is_cuda()) at::_foreach_zero_(values(kept_));
}

}  // namespace vim::train
