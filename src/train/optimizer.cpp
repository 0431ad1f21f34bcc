#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <fnmatch.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::train {
namespace {

// The number in "layers.3.norm.weight", perhaps after a prefix; DeiT says "blocks".
std::optional<int64_t> block_of(const std::string& name) {
  for (const std::string_view list : {"layers.", "blocks."}) {
    const size_t place = name.find(list);
    if (place == std::string::npos || (place > 0 && name[place - 1] != '.')) continue;
    int64_t block = 0;
    const char* begin = name.data() + place + list.size();
    const auto [end, problem] = std::from_chars(begin, name.data() + name.size(), block);
    if (problem == std::errc() && *end == '.') return block;
  }
  return std::nullopt;
}

}  // namespace

bool is_decayed(const std::string& name, const at::Tensor& parameter, const OptimConfig& config) {
  if (parameter.dim() <= 1 || name == "pos_embed" || name.starts_with("cls_token")) return false;
  return config.decay_A_log || !(name.ends_with(".A_log") || name.ends_with(".A_b_log"));
}

int64_t layer_of(const std::string& name, int64_t blocks) {
  if (const auto block = block_of(name)) return *block + 1;
  const bool embeds = name.find("patch_embed.") != std::string::npos ||
                      name.find("pos_embed") != std::string::npos ||
                      name.find("cls_token") != std::string::npos;
  return embeds ? 0 : blocks + 1;
}

void freeze(torch::nn::Module& model, const std::vector<std::string>& patterns) {
  const auto parameters = model.named_parameters();
  for (const std::string& pattern : patterns) {
    bool matched = false;
    for (const auto& entry : parameters) {
      if (fnmatch(pattern.c_str(), entry.key().c_str(), 0) != 0) continue;
      entry.value().set_requires_grad(false);
      matched = true;
    }
    if (!matched) {
      throw UsageError(concat("optim.freeze: no parameter is called ", pattern,
                              "; vim-convert inspect lists those of a checkpoint"));
    }
  }
  for (const auto& entry : parameters) {
    if (entry.value().requires_grad()) return;
  }
  throw UsageError("optim.freeze: it leaves nothing to train");
}

AdamW::AdamW(const torch::nn::Module& model, const OptimConfig& config) : config_(config) {
  const auto all = model.named_parameters();
  int64_t blocks = 0;
  for (const auto& entry : all) {
    blocks = std::max(blocks, block_of(entry.key()).value_or(-1) + 1);
  }
  std::map<std::pair<bool, int64_t>, Group> groups;  // not decayed, layer
  for (const auto& entry : all) {
    const at::Tensor& parameter = entry.value();
    if (!parameter.requires_grad()) continue;
    const bool decayed = is_decayed(entry.key(), parameter, config);
    const int64_t layer = config.layer_decay == 1 ? blocks + 1 : layer_of(entry.key(), blocks);
    Group& group = groups[{!decayed, layer}];
    group.weight_decay = decayed ? config.weight_decay : 0.0;
    group.lr_scale = std::pow(config.layer_decay, static_cast<double>(blocks + 1 - layer));
    group.names.push_back(entry.key());
    group.parameters.push_back(parameter);
    group.exp_avg.push_back(at::zeros_like(parameter));
    group.exp_avg_sq.push_back(at::zeros_like(parameter));
    group.steps.push_back(at::zeros({}, parameter.options().dtype(at::kFloat)));
  }
  for (auto& [key, group] : groups) groups_.push_back(std::move(group));
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

void AdamW::set_lr(double lr) {
  lr_ = lr;
  if (!device().is_cuda()) return;
  for (Group& group : groups_) {
    if (!group.device_lr.defined()) group.device_lr = at::empty({}, at::TensorOptions(device()));
    group.device_lr.fill_(lr * group.lr_scale);
  }
}

void AdamW::step(const at::Tensor& skip) {
  const at::NoGradGuard no_grad;
  const auto maybe_skip = skip.defined() ? std::optional(skip) : std::nullopt;
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
    const auto update = [&](const auto& lr) {
      at::_fused_adamw_(parameters, gradients, exp_avg, exp_avg_sq, /*max_exp_avg_sqs=*/{}, steps,
                        lr, config_.betas[0], config_.betas[1], group.weight_decay, config_.eps,
                        /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/std::nullopt,
                        maybe_skip);
    };
    group.device_lr.defined() ? update(group.device_lr) : update(lr_ * group.lr_scale);
    if (maybe_skip) at::_foreach_sub_(steps, std::vector<at::Tensor>(steps.size(), skip));
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
