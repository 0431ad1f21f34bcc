#include "vim/nn/model.h"

#include "nn/vision_mamba.h"
#include "nn/vision_transformer.h"

namespace vim::nn {

std::shared_ptr<Classifier> make_classifier(const ModelConfig& config) {
  if (config.name == "vit") return std::make_shared<VisionTransformer>(config);
  return std::make_shared<VisionMamba>(config);
}

bool is_capturable(const ModelConfig& config) {
  if (config.name == "vit") return true;
  return config.class_token != ClassToken::kRandom && config.direction != Direction::kFlipAugment;
}

int64_t count_parameters(const torch::nn::Module& model) {
  int64_t count = 0;
  for (const at::Tensor& parameter : model.parameters()) count += parameter.numel();
  return count;
}

namespace {

double count_transformer(const ModelConfig& config) {
  const double tokens = static_cast<double>(config.patches() + 1);
  const double embed = static_cast<double>(config.embed_dim);
  const double projections = (4 + 2 * config.vit.mlp_ratio) * embed * embed;
  return static_cast<double>(config.depth) * tokens * (projections + 2 * tokens * embed);
}

double count_mamba(const ModelConfig& config) {
  const double tokens = static_cast<double>(config.tokens());
  const double embed = static_cast<double>(config.embed_dim);
  const double inner = static_cast<double>(config.inner_dim());
  const double rank = static_cast<double>(config.delta_rank());
  const double states = static_cast<double>(config.state_dim);
  const double directions =
      config.direction == Direction::kShared || config.direction == Direction::kFull ? 2 : 1;
  const double projection_sets = config.direction == Direction::kFull ? 2 : 1;

  const double projections = embed * 2 * inner + inner * embed;
  const double per_branch = inner * (config.conv_kernel + rank + 2 * states) + rank * inner;
  const double scan = 9 * inner * states;
  const double block = tokens * (projections + projection_sets * per_branch + directions * scan);
  return config.depth * block;
}

}  // namespace

double count_multiply_adds(const ModelConfig& config) {
  const double embed = static_cast<double>(config.embed_dim);
  const double patch_pixels =
      static_cast<double>(config.in_channels * config.patch_size * config.patch_size);
  const double patch_embed = static_cast<double>(config.patches()) * patch_pixels * embed;
  const double head = embed * config.num_classes;
  return patch_embed + (config.name == "vit" ? count_transformer(config) : count_mamba(config)) +
         head;
}

}  // namespace vim::nn
