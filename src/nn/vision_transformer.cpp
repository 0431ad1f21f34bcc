#include "nn/vision_transformer.h"

#include <ATen/ATen.h>

#include <cmath>

#include "nn/block.h"
#include "nn/init.h"

namespace vim::nn {
namespace {

using torch::nn::LayerNorm;
using torch::nn::LayerNormOptions;
using torch::nn::Linear;
using torch::nn::Module;

constexpr double kInitialStd = 0.02;

LayerNorm layer_norm(int64_t width) {
  return LayerNorm(LayerNormOptions({width}).eps(1e-6));
}

// LibTorch's module would add the bias in a kernel of its own.
at::Tensor project(Linear& layer, const at::Tensor& x) {
  return at::linear(x, layer->weight, layer->bias);
}

// [batch, heads, length, width of a head] each.
at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                  Attention kind) {
  if (kind == Attention::kFused) return at::scaled_dot_product_attention(query, key, value);
  const double scale = 1 / std::sqrt(static_cast<double>(query.size(-1)));
  return at::matmul(at::softmax(at::matmul(query * scale, key.transpose(-2, -1)), -1), value);
}

}  // namespace

class TransformerBlock : public Module {
 public:
  explicit TransformerBlock(const ModelConfig& config)
      : heads_(config.heads()), attention_(config.vit.attention) {
    const int64_t width = config.embed_dim;
    const auto hidden = static_cast<int64_t>(config.vit.mlp_ratio * static_cast<double>(width));
    norm1_ = register_module("norm1", layer_norm(width));
    const auto attention = register_module("attn", std::make_shared<Module>());
    qkv_ = attention->register_module("qkv", Linear(width, 3 * width));
    projection_ = attention->register_module("proj", Linear(width, width));
    norm2_ = register_module("norm2", layer_norm(width));
    const auto mlp = register_module("mlp", std::make_shared<Module>());
    fc1_ = mlp->register_module("fc1", Linear(width, hidden));
    fc2_ = mlp->register_module("fc2", Linear(hidden, width));
  }

  at::Tensor forward(const at::Tensor& tokens, double drop_rate) {
    const at::Tensor attended =
        tokens + drop_path(mix(norm1_->forward(tokens)), drop_rate, is_training());
    const at::Tensor hidden = at::gelu(project(fc1_, norm2_->forward(attended)));
    return attended + drop_path(project(fc2_, hidden), drop_rate, is_training());
  }

 private:
  at::Tensor mix(const at::Tensor& tokens) {
    const int64_t batch = tokens.size(0), length = tokens.size(1);
    const auto parts =
        project(qkv_, tokens).view({batch, length, 3, heads_, -1}).permute({2, 0, 3, 1, 4});
    const at::Tensor mixed = attend(parts[0], parts[1], parts[2], attention_);
    return project(projection_, mixed.transpose(1, 2).reshape({batch, length, -1}));
  }

  int64_t heads_;
  Attention attention_;
  LayerNorm norm1_{nullptr}, norm2_{nullptr};
  Linear qkv_{nullptr}, projection_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
};

// Parameters are registered in timm's order.
VisionTransformer::VisionTransformer(const ModelConfig& config) : config_(config) {
  class_token_ = register_parameter("cls_token", at::zeros({1, 1, config.embed_dim}));
  pos_embed_ =
      register_parameter("pos_embed", at::zeros({1, 1 + config.patches(), config.embed_dim}));
  patch_embed_ = register_module("patch_embed", std::make_shared<PatchEmbed>(config));
  torch::nn::ModuleList list;
  for (int64_t i = 0; i < config.depth; ++i) {
    blocks_.push_back(std::make_shared<TransformerBlock>(config));
    list->push_back(blocks_.back());
  }
  register_module("blocks", list);
  norm_ = register_module("norm", layer_norm(config.embed_dim));
  head_ = register_module("head", Linear(config.embed_dim, config.num_classes));

  const at::NoGradGuard no_grad;
  truncated_normal_(class_token_, kInitialStd);
  truncated_normal_(pos_embed_, kInitialStd);
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto* linear = module->as<torch::nn::LinearImpl>()) {
      truncated_normal_(linear->weight, kInitialStd);
      linear->bias.zero_();
    }
  }
}

at::Tensor VisionTransformer::features(const at::Tensor& images) {
  at::Tensor tokens = patch_embed_->forward(images);
  tokens = at::cat({class_token_.expand({images.size(0), -1, -1}), tokens}, 1) + pos_embed_;
  tokens = at::dropout(tokens, config_.drop_rate, is_training());
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const double rate =
        blocks_.size() < 2 ? 0.0 : config_.drop_path_rate * i / (blocks_.size() - 1);
    tokens = blocks_[i]->forward(tokens, rate);
  }
  return norm_->forward(tokens.select(1, 0));
}

at::Tensor VisionTransformer::classify(const at::Tensor& features) {
  return project(head_, features);
}

}  // namespace vim::nn
