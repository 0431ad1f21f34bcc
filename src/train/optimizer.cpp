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

AdamW::AdamW(const torch::nn::Module& model, const OptimConfig& config) {
  const auto all = model.named_parameters();
  int64_t blocks = 0;
  for (const auto& entry : all) {
    blocks = std::max(blocks, block_of(entry.key()).value_or(-1) + 1);
  }
  for (const auto& entry : all) {
    const at::Tensor& parameter = entry.value();
    if (!parameter.requires_grad()) continue;
    const bool decayed = is_decayed(entry.key(), parameter, config);
    const int64_t layer = layer_of(entry.key(), blocks);
    names_.push_back(entry.key());
    step_.parameters.push_back(parameter);
    step_.exp_avg.push_back(at::zeros_like(parameter));
    step_.exp_avg_sq.push_back(at::zeros_like(parameter));
    step_.weight_decay.push_back(decayed ? config.weight_decay : 0.0);
    step_.lr_scale.push_back(std::pow(config.layer_decay, static_cast<double>(blocks + 1 - layer)));
  }
  VIM_CHECK(!names_.empty());
  step_.steps = at::zeros({static_cast<int64_t>(names_.size())},
                          at::TensorOptions(device()).dtype(at::kFloat));
  step_.lr = at::zeros({}, at::TensorOptions(device()).dtype(at::kDouble));
  step_.beta1 = config.betas[0];
  step_.beta2 = config.betas[1];
  step_.eps = config.eps;
  step_.max_norm = config.clip_grad;
}

nn::Weights AdamW::parameters() const {
  nn::Weights found;
  for (size_t i = 0; i < names_.size(); ++i) found.emplace(names_[i], step_.parameters[i]);
  return found;
}

std::vector<at::Tensor> AdamW::gradients() const {
  std::vector<at::Tensor> all;
  for (const at::Tensor& parameter : step_.parameters) all.push_back(parameter.grad());
  return all;
}

at::Tensor AdamW::gradient_norm(const LossScale* scale) const {
  return scale == nullptr ? ops::gradient_norm(gradients())
                          : ops::gradient_norm(gradients(), scale->scale(), scale->overflow());
}

void AdamW::step(const at::Tensor& norm, const Ema* ema, const LossScale* scale,
                 const at::Tensor& skip) {
  ops::AdamWStep step = step_;
  step.gradients = gradients();
  if (ema != nullptr) {
    for (const std::string& name : names_) step.averages.push_back(ema->weights().at(name));
    step.average_decay = ema->decay();
  }
  if (scale != nullptr) step.loss_scale = scale->scale();
  step.norm = norm;
  step.skip = skip;
  ops::adamw_step(step);
}

void AdamW::zero_gradients() {
  for (at::Tensor& parameter : step_.parameters) parameter.mutable_grad().reset();
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state;
  for (size_t i = 0; i < names_.size(); ++i) {
    state.emplace("exp_avg/" + names_[i], step_.exp_avg[i]);
    state.emplace("exp_avg_sq/" + names_[i], step_.exp_avg_sq[i]);
    state.emplace("step/" + names_[i], step_.steps[static_cast<int64_t>(i)]);
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
