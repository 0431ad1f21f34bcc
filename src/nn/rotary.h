// Rotary position embedding over the patch grid (official rope.py, VisionRotaryEmbeddingFast).
#pragma once

#include <ATen/core/Tensor.h>

#include "vim/nn/config.h"

namespace vim::nn {

// The angles' cosine and sine, [patches, embed_dim]: the first half of the channels turns with the
// row, the second with the column, in interleaved pairs.
struct RotaryTable {
  at::Tensor cos, sin;
};
RotaryTable make_rotary_table(const ModelConfig& config);

// Turns the patch tokens of [batch, length, embed_dim]; tokens in `class_positions` stay as they
// are.
at::Tensor rotate(const at::Tensor& tokens, const RotaryTable& table,
                  at::IntArrayRef class_positions);

}  // namespace vim::nn
