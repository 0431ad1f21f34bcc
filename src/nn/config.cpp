#include "vim/nn/config.h"

#include "vim/config/problems.h"
#include "vim/core/text.h"

namespace vim::nn {

using config::at_least;

void describe(config::Visitor& v, ModelQuirks& c) {
  v("zero_dt_proj_b_bias", c.zero_dt_proj_b_bias,
    "Initialise the backward branch's dt_proj bias with 0 (a step size near 0.69) instead of like "
    "the forward "
    "branch's.");
  v("lecun_absolute_trunc", c.lecun_absolute_trunc,
    "Cut the patch embedding's initial normal distribution at +-2 instead of at two standard "
    "deviations.");
  v("v1_official_grad", c.v1_official_grad,
    "With direction: shared, lose the gradient of the backward branch's gate.");
  v("rope_odd_len_skips_first", c.rope_odd_len_skips_first,
    "Take the first token of an odd sequence for the class token in the rotary embedding, wherever "
    "the class "
    "token is, and turn it as a patch elsewhere.");
  v("pair_no_div2", c.pair_no_div2,
    "With direction: layer_pairs, sum both streams of a pair instead of averaging them, so that "
    "the residual "
    "doubles with every pair.");
}

void describe(config::Visitor& v, VitConfig& c) {
  v("heads", c.heads, "Attention heads; auto: one for every 64 of embed_dim.", at_least(1));
  v("mlp_ratio", c.mlp_ratio, "Width of the hidden layer, as a multiple of embed_dim.",
    config::positive);
  v("attention", c.attention,
    "fused (FlashAttention in half precision on a GPU) or plain (two products and a softmax).");
}

void describe(config::Visitor& v, ModelConfig& c) {
  v("name", c.name, "Architecture: vim, or vit (a DeiT, to compare with).", config::not_empty);
  v("image_size", c.image_size, "Input size in pixels: one number, or [height, width].");
  v("in_channels", c.in_channels, "Channels of the input: 3 (RGB) or 1 (grey).",
    config::between(1, 3));
  v("patch_size", c.patch_size, "Side of a patch in pixels.", at_least(1));
  v("stride", c.stride,
    "Distance between patches in pixels; auto: the patch size, so that they do not overlap.",
    at_least(1));
  v("embed_dim", c.embed_dim, "Width of a token.", at_least(2));
  v("depth", c.depth, "Number of blocks.", at_least(1));
  v("state_dim", c.state_dim, "States a channel of the state space model.", at_least(1));
  v("expand", c.expand, "Width inside a block, as a multiple of embed_dim.", at_least(1));
  v("conv_kernel", c.conv_kernel, "Length of the causal convolution before the scan.", at_least(1));
  v("dt_rank", c.dt_rank, "Rank of the step size's projection; auto: embed_dim / 16, rounded up.",
    at_least(1));
  v("num_classes", c.num_classes, "Classes that the head tells apart.", at_least(1));
  v("direction", c.direction,
    "How a block sees both directions of the sequence: one only; one, flipped at random in "
    "training; alternating "
    "layers; shared projections; or fully separate weights (the published models).");
  v("class_token", c.class_token, "Where the class token stands in the sequence.");
  v("pool", c.pool,
    "Without a class token, what the head reads: the mean of the tokens, the largest score over "
    "the tokens, or the "
    "last token.");
  v("position_embedding", c.position_embedding,
    "Add a learned embedding of each token's position.");
  v("rotary", c.rotary, "Rotary position embedding before each block.");
  v("rotary_grid", c.rotary_grid, "Patches a side over which rotary positions are spread.",
    at_least(1));
  v("norm", c.norm, "Normalisation before each block and at the end.");
  v("layer_scale", c.layer_scale,
    "Initial value of a learned scale on each block's output; 0: none.", at_least(0));
  v("divide_out", c.divide_out,
    "With direction: full, average both directions instead of summing them.");
  v("drop_rate", c.drop_rate, "Dropout after the position embedding.", config::below_one);
  v("drop_path_rate", c.drop_path_rate,
    "Stochastic depth: probability of skipping the last block for a sample, rising linearly from 0 "
    "at the first.",
    config::below_one);
  v("init_from", c.init_from,
    "Weights to start from: a checkpoint of vim-train, or a .safetensors or .pth file of the "
    "official code. Another number of classes gets a new head, another grid of patches a resized "
    "position embedding. Empty: start from random weights.");
  v("init_ema", c.init_ema, "Of init_from, take the averaged weights.");
  v("init_partial", c.init_partial,
    "Start although init_from lacks weights of this model or has others; else that is an error.");
  v("pos_interp", c.pos_interp,
    "How init_from's position embedding is resized: class_aware, or official, which takes the "
    "first row for the class token's and mixes the real one's with its neighbours.");
  v("recompute", c.recompute,
    "On a GPU, keep only the input of each mixer for the backward pass and compute the rest again: "
    "a quarter slower, in little memory.");
  v("recompute_share", c.recompute_share, "The share of the blocks that do, with recompute.",
    config::fraction);
  v("quirks", c.quirks, "Flaws of the official code, for numbers that depend on them.");
  v("vit", c.vit, "What only name: vit has; it has nothing of Vim's mixer, directions and tokens.");
}

void check(const ModelConfig& c, config::Problems& problems) {
  if (c.name != "vim" && c.name != "vit")
    problems.add("name", concat("unknown architecture '", c.name, "'; there are vim and vit"));
  if (c.name == "vit" && c.embed_dim % c.heads() != 0) {
    problems.add("vit.heads", concat(c.embed_dim, " channels (embed_dim) cannot be shared by ",
                                     c.heads(), " heads"));
  }
  if (c.image_size.height < c.patch_size || c.image_size.width < c.patch_size) {
    problems.add("patch_size",
                 concat("a patch of ", c.patch_size, " pixels is larger than the image (",
                        c.image_size.height, " x ", c.image_size.width, ")"));
  }
  if (c.in_channels == 2) problems.add("in_channels", "expected 1 (grey) or 3 (RGB), got 2");
  if (c.rotary != Rotary::kNone && c.embed_dim % 4 != 0) {
    problems.add("embed_dim",
                 concat("the rotary embedding needs a multiple of 4, got ", c.embed_dim));
  }
  if (c.direction == Direction::kLayerPairs && c.depth % 2 != 0) {
    problems.add("depth",
                 concat("direction: layer_pairs needs an even number of blocks, got ", c.depth));
  }
  const bool turns_one_patch_too_few = c.class_token == ClassToken::kNone && c.patches() % 2 == 1;
  const bool turns_class_tokens =
      c.class_tokens() == 2 || (c.class_tokens() == 1 && c.patches() % 2 == 1);
  if (c.rotary != Rotary::kNone && c.quirks.rope_odd_len_skips_first &&
      (turns_one_patch_too_few || turns_class_tokens)) {
    problems.add("quirks.rope_odd_len_skips_first",
                 concat("the official rotary embedding cannot turn ", c.patches(), " patches and ",
                        c.class_tokens(), " class tokens; switch this quirk off"));
  }
}

}  // namespace vim::nn

namespace vim::config {

bool Leaf<nn::ImageSize>::read(const Node& node, nn::ImageSize& value) {
  if (node.is_sequence()) {
    return node.items.size() == 2 && Leaf<int64_t>::read(node.items[0], value.height) &&
           Leaf<int64_t>::read(node.items[1], value.width) && value.height > 0 && value.width > 0;
  }
  if (!Leaf<int64_t>::read(node, value.height) || value.height <= 0) return false;
  value.width = value.height;
  return true;
}

Node Leaf<nn::ImageSize>::write(const nn::ImageSize& value) {
  const Node height = Leaf<int64_t>::write(value.height);
  if (value.height == value.width) return height;
  return Node::sequence({height, Leaf<int64_t>::write(value.width)});
}

}  // namespace vim::config
