#include "train/precision.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

namespace vim::train {

void allow_tf32(Precision precision) {
  at::globalContext().setAllowTF32CuBLAS(precision == Precision::kTf32);
  at::globalContext().setAllowTF32CuDNN(precision == Precision::kTf32);
}

at::ScalarType compute_type(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
    case Precision::kTf32:
      return at::kFloat;
    case Precision::kBf16:
      return at::kBFloat16;
    case Precision::kFp16:
      return at::kHalf;
  }
  return at::kFloat;
}

AutocastScope::AutocastScope(Precision precision, at::Device device)
    : active_(device.is_cuda() && compute_type(precision) != at::kFloat) {
  if (!active_) return;
  at::autocast::set_autocast_dtype(at::kCUDA, compute_type(precision));
  at::autocast::set_autocast_enabled(at::kCUDA, true);
}

AutocastScope::~AutocastScope() {
  if (!active_) return;
  at::autocast::set_autocast_enabled(at::kCUDA, false);
  at::autocast::clear_cache();
}

namespace {
constexpr double kInitialScale = 65536, kGrowth = 2, kBackoff = 0.5;
constexpr int64_t kGrowthInterval = 2000;
}  // namespace

LossScale::LossScale(at::Device device) {
  const auto options = at::TensorOptions().device(device);
  scale_ = at::full({}, kInitialScale, options.dtype(at::kFloat));
  growth_steps_ = at::zeros({}, options.dtype(at::kInt));
  overflow_ = at::zeros({}, options.dtype(at::kFloat));
}

at::Tensor LossScale::scaled(const at::Tensor& loss) const {
  return loss * scale_;
}

void LossScale::update() {
  at::_amp_update_scale_(scale_, growth_steps_, overflow_, kGrowth, kBackoff, kGrowthInterval);
  overflow_.zero_();
}

std::map<std::string, at::Tensor> LossScale::state() const {
  return {{"loss_scale", scale_}, {"loss_scale_growth_steps", growth_steps_}};
}

}  // namespace vim::train
