#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::train {

bool is_decayed(const std::string& name, const at::Tensor& parameter, const OptimConfig& config) {
  if (parameter.dim() <= 1 || name == "pos_embed" || name.starts_with("cls_token")) return false;
  return config.decay_A_log || !(name.ends_with(".A_log") || name.ends_with(".A_b_log"));
}

AdamW::AdamW(const torch::nn::Module& model, const OptimConfig& config) : config_(config) {
  groups_ = {{config.weight_decay, {}, {}, {}, {}, {}}, {0.0, {}, {}, {}, {}, {}}};
  for (const auto& entry : model.named_parameters()) {
    const at::Tensor& parameter = entry.value();
    if (!parameter.requires_grad()) continue;
    Group& group = groups_[is_decayed(entry.key(), parameter, config) ? 0 : 1];
    group.names.push_back(entry.key());
    group.parameters.push_back(parameter);
    group.exp_avg.push_back(at::zeros_like(parameter));
    group.exp_avg_sq.push_back(at::zeros_like(parameter));
    group.steps.push_back(at::zeros({}, parameter.options().dtype(at::kFloat)));
  }
}

std::vector<at::Tensor> AdamW::gradients() const {
  std::vector<at::Tensor> found;
  for (const Group& group : groups_) {
    for (const at::Tensor& parameter : group.parameters) {
      if (parameter.grad().defined()) found.push_back(parameter.grad());
    }
  }
  return found;
}

at::Tensor AdamW::clip_gradients(double max_norm) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> all = gradients();
  VIM_CHECK(!all.empty());
  const at::Tensor norm = at::stack(at::_foreach_norm(all)).norm();
  at::_foreach_mul_(all, (max_norm / (norm + 1e-6)).clamp_max(1.0));
  return norm;
}

void AdamW::step(double lr) {
  const at::NoGradGuard no_grad;
  for (Group& group : groups_) {
    std::vector<at::Tensor> parameters, gradients, exp_avg, exp_avg_sq, steps;
    for (size_t i = 0; i < group.parameters.size(); ++i) {
      if (!group.parameters[i].grad().defined()) continue;
      parameters.push_back(group.parameters[i]);
      gradients.push_back(group.parameters[i].grad());
      exp_avg.push_back(group.exp_avg[i]);
      exp_avg_sq.push_back(group.exp_avg_sq[i]);
      steps.push_back(group.steps[i]);
    }
    if (parameters.empty()) continue;
    at::_foreach_add_(steps, 1);
    at::_fused_adamw_(parameters, gradients, exp_avg, exp_avg_sq, /*max_exp_avg_sqs=*/{}, steps, lr,
                      config_.betas[0], config_.betas[1], group.weight_decay, config_.eps,
                      /*amsgrad=*/false,
                      /*maximize=*/false);
  }
}

void AdamW::zero_gradients() {
  for (Group& group : groups_) {
    for (at::Tensor& parameter : group.parameters) parameter.mutable_grad().reset();
  }
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state;
  for (const Group& group : groups_) {
    for (size_t i = 0; i < group.names.size(); ++i) {
      state.emplace("exp_avg/" + group.names[i], group.exp_avg[i]);
      state.emplace("exp_avg_sq/" + group.names[i], group.exp_avg_sq[i]);
      state.emplace("step/" + group.names[i], group.steps[i]);
    }
  }
  return state;
}

void AdamW::load_state(const std::map<std::string, at::Tensor>& state, const std::string& source) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : this->state()) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.sizes() != tensor.sizes()) {
      throw Error(concat(source, ": its optimiser state does not fit this model (", name,
                         found == state.end() ? " is missing" : " has another shape",
                         "); resume with the configuration that it was trained with"));
    }
    tensor.copy_(found->second);
  }
}

}  // namespace vim::train
