// What train.precision means for a device.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "vim/train/config.h"

namespace vim::train {

// Lets fp32 products round their factors to TF32, or forbids it. For the whole process.
void allow_tf32(Precision precision);

// What products and activations are computed in on a GPU.
at::ScalarType compute_type(Precision precision);

// Autocast of this precision on a GPU for as long as it lives; nothing on the CPU.
class AutocastScope {
 public:
  AutocastScope(Precision precision, at::Device device);
  ~AutocastScope();
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  bool active_;
};

// The factor that keeps gradients in the range of fp16 (Micikevicius et al., arXiv 1710.03740):
// halved when one overflows, in which case the step is skipped, and doubled after 2000 steps
// without. Everything stays on the device.
class LossScale {
 public:
  explicit LossScale(at::Device device);

  at::Tensor scaled(const at::Tensor& loss) const;

  const at::Tensor& scale() const { return scale_; }

  // Where a step of the optimiser notes that a gradient was not finite; float, a scalar.
  const at::Tensor& overflow() const { return overflow_; }

  // After a step, by what it noted.
  void update();

  // The tensors are this object's own.
  std::map<std::string, at::Tensor> state() const;

 private:
  at::Tensor scale_, growth_steps_, overflow_;
};

}  // namespace vim::train
