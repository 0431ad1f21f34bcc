#include "vim/nn/model.h"

#include "nn/vision_mamba.h"

namespace vim::nn {

std::shared_ptr<Classifier> make_classifier(const ModelConfig& config) {
  return std::make_shared<VisionMamba>(config);
}

int64_t count_parameters(const torch::nn::Module& model) {
  int64_t count = 0;
  for (const at::Tensor& parameter : model.parameters()) count += parameter.numel();
  return count;
}

double count_multiply_adds(const ModelConfig& config) {
  const double tokens = static_cast<double>(config.tokens());
  const double embed = static_cast<double>(config.embed_dim);
  const double inner = static_cast<double>(config.inner_dim());
  const double rank = static_cast<double>(config.delta_rank());
  const double states = static_cast<double>(config.state_dim);
  const double directions =
      config.direction == Direction::kShared || config.direction == Direction::kFull ? 2 : 1;
  const double projection_sets = config.direction == Direction::kFull ? 2 : 1;

  const double patch_pixels =
      static_cast<double>(config.in_channels * config.patch_size * config.patch_size);
  const double patch_embed = static_cast<double>(config.patches()) * patch_pixels * embed;
  const double projections = embed * 2 * inner + inner * embed;
  const double per_branch = inner * (config.conv_kernel + rank + 2 * states) + rank * inner;
  const double scan = 9 * inner * states;
  const double block = tokens * (projections + projection_sets * per_branch + directions * scan);
  const double head = embed * config.num_classes;
  return patch_embed + config.depth * block + head;
}

}  // namespace vim::nn
