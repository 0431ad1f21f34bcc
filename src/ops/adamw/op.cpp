// The step as LibTorch's operators do it, which is the one for the CPU, and the way to the GPU's.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <map>
#include <utility>

#include "vim/ops/adamw.h"
#ifdef VIM_WITH_CUDA
#include "ops/adamw/cuda.h"
#endif

namespace vim::ops {
namespace adamw {
namespace {

void check_args(const AdamWStep& s) {
  const size_t count = s.parameters.size();
  TORCH_CHECK(count > 0, "adamw_step: there are no parameters");
  for (const auto* list : {&s.exp_avg, &s.exp_avg_sq, &s.gradients, &s.averages}) {
    if (list == &s.averages && list->empty()) continue;
    TORCH_CHECK(list->size() == count, "adamw_step: ", count, " parameters, but ", list->size(),
                " of something else");
    for (size_t i = 0; i < count; ++i) {
      const at::Tensor &other = (*list)[i], &parameter = s.parameters[i];
      if (list == &s.gradients && !other.defined()) continue;
      TORCH_CHECK(other.sizes() == parameter.sizes() && other.device() == parameter.device() &&
                      other.scalar_type() == parameter.scalar_type(),
                  "adamw_step: tensors of parameter ", i, " differ in shape, type or device");
    }
  }
  TORCH_CHECK(s.lr_scale.size() == count && s.weight_decay.size() == count,
              "adamw_step: lr_scale and weight_decay must be as many as parameters");
  TORCH_CHECK(s.steps.dim() == 1 && s.steps.size(0) == static_cast<int64_t>(count) &&
                  s.steps.scalar_type() == at::kFloat && s.steps.is_contiguous(),
              "adamw_step: steps must be [parameters], float");
  TORCH_CHECK(s.lr.numel() == 1 && s.lr.scalar_type() == at::kDouble,
              "adamw_step: lr must be a scalar, double");
  TORCH_CHECK(s.max_norm == 0 || s.norm.defined(), "adamw_step: clipping needs the norm");
}

// Parameters of one learning rate and decay.
struct Group {
  std::vector<at::Tensor> parameters, gradients, exp_avg, exp_avg_sq, steps;
};

void update_by_groups(const AdamWStep& s) {
  std::map<std::pair<double, double>, Group> groups;  // by lr_scale and weight_decay
  const std::vector<at::Tensor> steps = s.steps.unbind();
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    if (!s.gradients[i].defined()) continue;
    Group& group = groups[{s.lr_scale[i], s.weight_decay[i]}];
    group.parameters.push_back(s.parameters[i]);
    group.gradients.push_back(s.gradients[i]);
    group.exp_avg.push_back(s.exp_avg[i]);
    group.exp_avg_sq.push_back(s.exp_avg_sq[i]);
    group.steps.push_back(steps[i]);
  }
  const auto lr = s.lr.item<double>();
  for (auto& [key, group] : groups) {
    at::_foreach_add_(group.steps, 1);
    at::_fused_adamw_(group.parameters, group.gradients, group.exp_avg, group.exp_avg_sq,
                      /*max_exp_avg_sqs=*/{}, group.steps, lr * key.first, s.beta1, s.beta2,
                      /*weight_decay=*/key.second, s.eps, /*amsgrad=*/false, /*maximize=*/false);
  }
}

std::vector<at::Tensor> defined(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> found;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.defined()) found.push_back(tensor);
  }
  return found;
}

at::Tensor norm_on_cpu(const std::vector<at::Tensor>& gradients, const at::Tensor& loss_scale,
                       at::Tensor overflow) {
  const c10::NoGradGuard no_grad;
  if (overflow.defined()) {
    at::_amp_foreach_non_finite_check_and_unscale_(gradients, overflow, at::ones({}));
  }
  const at::Tensor norm = at::stack(at::_foreach_norm(gradients)).norm();
  return loss_scale.defined() ? norm / loss_scale : norm;
}

void step_on_cpu(const AdamWStep& s) {
  const c10::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = defined(s.gradients);
  const bool skip = s.skip.defined() && s.skip.item<double>() != 0;
  if (!gradients.empty() && !skip) {
    if (s.loss_scale.defined()) at::_foreach_mul_(gradients, s.loss_scale.reciprocal());
    if (s.max_norm > 0) {
      at::_foreach_mul_(gradients, (s.max_norm / (s.norm + 1e-6)).clamp_max(1.0));
    }
    update_by_groups(s);
  }
  if (!s.averages.empty()) at::_foreach_lerp_(s.averages, s.parameters, 1 - s.average_decay);
}

}  // namespace
}  // namespace adamw

at::Tensor gradient_norm(const std::vector<at::Tensor>& gradients, const at::Tensor& loss_scale,
                         const at::Tensor& overflow) {
  const std::vector<at::Tensor> all = adamw::defined(gradients);
  TORCH_CHECK(!all.empty(), "gradient_norm: there are no gradients");
#ifdef VIM_WITH_CUDA
  if (all[0].is_cuda()) return adamw::norm_on_cuda(all, loss_scale, overflow);
#endif
  return adamw::norm_on_cpu(all, loss_scale, overflow);
}

void adamw_step(const AdamWStep& step) {
  adamw::check_args(step);
#ifdef VIM_WITH_CUDA
  if (step.parameters[0].is_cuda()) return adamw::step_on_cuda(step);
#endif
  adamw::step_on_cpu(step);
}

}  // namespace vim::ops
