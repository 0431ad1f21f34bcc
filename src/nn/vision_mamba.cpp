#include "nn/vision_mamba.h"

#include <ATen/ATen.h>

#include <cmath>

#include "nn/init.h"

namespace vim::nn {

VisionMamba::VisionMamba(const ModelConfig& config) : config_(config) {
  const auto class_token_name = [&](size_t i) {
    if (config.class_token != ClassToken::kDouble) return "cls_token";
    return i == 0 ? "cls_token_head" : "cls_token_tail";
  };
  for (int64_t i = 0; i < config.class_tokens(); ++i) {
    class_tokens_.push_back(
        register_parameter(class_token_name(i), at::zeros({1, 1, config.embed_dim})));
  }
  if (config.position_embedding) {
    pos_embed_ = register_parameter("pos_embed", at::zeros({1, config.tokens(), config.embed_dim}));
  }
  patch_embed_ = register_module("patch_embed", std::make_shared<PatchEmbed>(config));
  head_ = register_module("head", torch::nn::Linear(config.embed_dim, config.num_classes));
  torch::nn::ModuleList layers;
  ModelConfig of_block = config;
  for (int64_t i = 0; i < config.depth; ++i) {
    const auto share_of = [&](int64_t blocks) {
      return std::floor(config.recompute_share * blocks);
    };
    of_block.recompute = config.recompute && share_of(i + 1) > share_of(i);
    blocks_.push_back(std::make_shared<Block>(of_block));
    layers->push_back(blocks_.back());
  }
  register_module("layers", layers);
  norm_f_ = register_module("norm_f", std::make_shared<AddNorm>(config));

  if (config.rotary != Rotary::kNone) {
    rotary_ = make_rotary_table(config);
    const auto rope = register_module("rope", std::make_shared<torch::nn::Module>());
    rope->register_buffer("freqs_cos", rotary_.cos);
    rope->register_buffer("freqs_sin", rotary_.sin);
  }
  initialize();
}

void VisionMamba::initialize() {
  const at::NoGradGuard no_grad;
  torch::nn::Conv2d& projection = patch_embed_->projection();
  lecun_normal_(projection->weight, config_.quirks.lecun_absolute_trunc);
  projection->bias.zero_();
  truncated_normal_(head_->weight, .02);
  head_->bias.zero_();
  if (pos_embed_.defined()) truncated_normal_(pos_embed_, .02);
  for (at::Tensor& token : class_tokens_) truncated_normal_(token, .02);
}

// A random class token is drawn anew for each training batch and stands in the middle in
// evaluation.
std::vector<int64_t> VisionMamba::draw_class_positions() const {
  const int64_t patches = config_.patches();
  switch (config_.class_token) {
    case ClassToken::kNone:
      return {};
    case ClassToken::kHead:
      return {0};
    case ClassToken::kDouble:
      return {0, patches + 1};
    case ClassToken::kMiddle:
      return {patches / 2};
    case ClassToken::kRandom:
      return {is_training() ? at::randint(patches + 1, {1}, at::kLong).item<int64_t>()
                            : patches / 2};
  }
  return {};
}

VisionMamba::Sequence VisionMamba::embed(const at::Tensor& images) {
  Sequence sequence;
  sequence.class_positions = draw_class_positions();
  sequence.tokens = patch_embed_->forward(images);
  for (size_t i = 0; i < class_tokens_.size(); ++i) {
    const int64_t position = sequence.class_positions[i];
    sequence.tokens = at::cat(
        {sequence.tokens.slice(1, 0, position), class_tokens_[i].expand({images.size(0), -1, -1}),
         sequence.tokens.slice(1, position)},
        1);
  }
  if (pos_embed_.defined()) sequence.tokens = sequence.tokens + pos_embed_;
  sequence.tokens = at::dropout(sequence.tokens, config_.drop_rate, is_training());
  return sequence;
}

void VisionMamba::turn(Streams& streams, const std::vector<int64_t>& class_positions) const {
  if (config_.rotary == Rotary::kNone) return;
  std::vector<int64_t> unturned = class_positions;
  if (config_.quirks.rope_odd_len_skips_first) {
    unturned.clear();
    if (streams.hidden.size(1) % 2 == 1) unturned.push_back(0);
  }
  streams.hidden = rotate(streams.hidden, rotary_, unturned);
  if (config_.rotary == Rotary::kInputAndResidual && streams.residual.defined()) {
    streams.residual = rotate(streams.residual, rotary_, unturned);
  }
}

// The output of block j is dropped with probability drop_path_rate * j / (depth - 1), where it is
// added: at the entrance of block j + 1, or in the last norm.
at::Tensor VisionMamba::run_blocks(at::Tensor tokens, const std::vector<int64_t>& class_positions) {
  const auto dropped = [&](Streams streams, size_t producer) {
    const double rate =
        blocks_.size() < 2 ? 0.0 : config_.drop_path_rate * producer / (blocks_.size() - 1);
    streams.hidden = drop_path(streams.hidden, rate, is_training());
    return streams;
  };
  const bool flipped = config_.direction == Direction::kFlipAugment && is_training() &&
                       at::rand({1}).item<float>() < 0.5f;
  Streams streams{std::move(tokens), {}};
  if (config_.direction == Direction::kLayerPairs) {
    for (size_t i = 0; i < blocks_.size(); i += 2) {
      turn(streams, class_positions);
      const auto entering = [&](size_t block) {
        return i == 0 ? streams : dropped(streams, block - 1);
      };
      const Streams there = blocks_[i]->forward(entering(i), false);
      const Streams back = blocks_[i + 1]->forward(entering(i + 1), true);
      streams = {there.hidden + back.hidden, there.residual + back.residual};
      if (!config_.quirks.pair_no_div2) streams = {streams.hidden / 2, streams.residual / 2};
    }
  } else {
    for (size_t i = 0; i < blocks_.size(); ++i) {
      turn(streams, class_positions);
      streams = blocks_[i]->forward(
          i == 0 ? std::move(streams) : dropped(std::move(streams), i - 1), flipped);
    }
  }
  return norm_f_->forward(dropped(std::move(streams), blocks_.size() - 1)).hidden;
}

at::Tensor VisionMamba::features(const at::Tensor& images) {
  Sequence sequence = embed(images);
  const at::Tensor tokens = run_blocks(std::move(sequence.tokens), sequence.class_positions);
  if (sequence.class_positions.size() == 2) {
    return (tokens.select(1, sequence.class_positions[0]) +
            tokens.select(1, sequence.class_positions[1])) /
           2;
  }
  if (sequence.class_positions.size() == 1) return tokens.select(1, sequence.class_positions[0]);
  switch (config_.pool) {
    case Pool::kMean:
      return tokens.mean(1);
    case Pool::kLast:
      return tokens.select(1, -1);
    case Pool::kMax:
      return tokens;
  }
  return tokens;
}

at::Tensor VisionMamba::classify(const at::Tensor& features) {
  const at::Tensor scores = head_->forward(features);
  return scores.dim() == 3 ? scores.amax(1) : scores;
}

}  // namespace vim::nn
