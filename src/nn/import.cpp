#include "vim/nn/import.h"

#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>

#include <array>

#include "nn/names.h"
#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::nn {
namespace {

constexpr std::string_view kParallel = "module.";

bool is_head(const std::string& name) {
  return name == "head.weight" || name == "head.bias";
}

// Tables that the configuration determines.
bool is_derived(const std::string& name) {
  return name.starts_with("rope.");
}

std::vector<int64_t> without_ones(at::IntArrayRef shape) {
  std::vector<int64_t> result;
  for (const int64_t size : shape) {
    if (size != 1) result.push_back(size);
  }
  return result;
}

std::string shapes(const std::string& name, const at::Tensor& from, const at::Tensor& to) {
  return concat(name, " ", from.sizes(), " to ", to.sizes());
}

bool can_resize(const at::Tensor& from, const at::Tensor& to, const ModelConfig& config) {
  return from.dim() == 3 && from.size(0) == 1 && from.size(2) == to.size(2) &&
         from.size(1) > config.class_tokens();
}

void add_problem(std::vector<std::string>& problems, const std::string& what,
                 const std::vector<std::string>& names) {
  if (!names.empty()) problems.push_back(what + some_of(names));
}

}  // namespace

Weights find_weights(const io::TensorFile& file, bool averaged) {
  static constexpr std::array<std::string_view, 4> kModel = {"model/", "state_dict/", "param/", ""};
  static constexpr std::array<std::string_view, 3> kAverage = {"model_ema/", "ema/",
                                                               "state_dict_ema/"};
  const auto prefixes = averaged ? std::span<const std::string_view>(kAverage)
                                 : std::span<const std::string_view>(kModel);
  for (const std::string_view prefix : prefixes) {
    Weights weights;
    for (const auto& [full_name, tensor] : file.tensors) {
      if (!full_name.starts_with(prefix)) continue;
      std::string name = full_name.substr(prefix.size());
      if (name.starts_with(kParallel)) name = name.substr(kParallel.size());
      weights.emplace(name, tensor);
    }
    if (!weights.empty()) return weights;
  }
  return {};
}

std::string ImportReport::text() const {
  std::vector<std::string> parts = {concat(matched, " weights matched")};
  add_problem(parts, "reshaped: ", reshaped);
  add_problem(parts, "new for other classes: ", replaced);
  add_problem(parts, "missing: ", missing);
  add_problem(parts, "unexpected: ", unexpected);
  return join(parts, "; ");
}

ImportReport import_weights(torch::nn::Module& model, const ModelConfig& config,
                            const Weights& weights, const std::string& source) {
  ImportReport report;
  std::vector<std::string> misshapen;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  const Weights own = weights_of(model);
  for (const auto& [name, tensor] : own) {
    const auto found = weights.find(name);
    if (found == weights.end()) {
      if (!is_derived(name)) report.missing.push_back(name);
      continue;
    }
    at::Tensor given = found->second;
    if (given.sizes() == tensor.sizes()) {
      ++report.matched;
    } else if (is_derived(name)) {
      continue;
    } else if (is_head(name) && given.dim() == tensor.dim() && given.size(0) != tensor.size(0)) {
      report.replaced.push_back(name);
      continue;
    } else if (name == "pos_embed" && can_resize(given, tensor, config)) {
      report.reshaped.push_back(shapes(name, given, tensor));
      try {
        given = resize_position_embedding(given, config);
      } catch (const Error& problem) {
        throw Error(concat(source, ": ", problem.what()));
      }
    } else if (without_ones(given.sizes()) == without_ones(tensor.sizes())) {
      report.reshaped.push_back(shapes(name, given, tensor));
      given = given.reshape(tensor.sizes());
    } else {
      misshapen.push_back(shapes(name, given, tensor));
    }
    copies.emplace_back(tensor, given);
  }
  for (const auto& [name, tensor] : weights) {
    if (!own.contains(name) && !is_derived(name)) report.unexpected.push_back(name);
  }
  const bool nothing_fits = copies.empty();
  if (!misshapen.empty() || nothing_fits || (!report.complete() && !config.init_partial)) {
    std::vector<std::string> problems;
    add_problem(problems, "it lacks ", report.missing);
    add_problem(problems, "the model has no ", report.unexpected);
    add_problem(problems, "shapes differ: ", misshapen);
    throw Error(concat(source, ": its weights do not fit this model (", join(problems, "; "),
                       "); change the model section",
                       misshapen.empty() && !nothing_fits
                           ? ", or set model.init_partial: true to take what fits"
                           : ""));
  }
  const at::NoGradGuard no_grad;
  for (const auto& [to, from] : copies) to.copy_(from);
  return report;
}

}  // namespace vim::nn
