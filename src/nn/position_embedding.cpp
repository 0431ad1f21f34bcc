#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include <cmath>

#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/nn/import.h"

namespace vim::nn {
namespace {

// Rows [begin, end) of [1, tokens, width].
at::Tensor rows(const at::Tensor& embedding, int64_t begin, int64_t end) {
  return embedding.slice(1, begin, end);
}

at::Tensor resize_grid(const at::Tensor& patches, const ModelConfig& config) {
  const int64_t width = patches.size(2);
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(patches.size(1))));
  if (side * side != patches.size(1)) {
    throw Error(concat("its position embedding has ", patches.size(1),
                       " patches, which form no square grid"));
  }
  const at::Tensor grid = patches.reshape({1, side, side, width}).permute({0, 3, 1, 2});
  return at::upsample_bicubic2d(grid, {config.grid_height(), config.grid_width()},
                                /*align_corners=*/false)
      .permute({0, 2, 3, 1})
      .reshape({1, config.patches(), width});
}

}  // namespace

at::Tensor resize_position_embedding(const at::Tensor& embedding, const ModelConfig& config) {
  const at::Tensor from = embedding.to(at::kFloat);
  const int64_t patches = from.size(1) - config.class_tokens();
  if (config.class_tokens() == 0) return resize_grid(from, config);
  // The official code takes the first row for the class token, wherever that is. A vision
  // transformer has it there.
  if (config.pos_interp == PositionInterpolation::kOfficial ||
      config.class_token == ClassToken::kHead || config.name == "vit") {
    const int64_t extra = config.class_tokens();
    return at::cat({rows(from, 0, extra), resize_grid(rows(from, extra, extra + patches), config)},
                   1);
  }
  if (config.class_token == ClassToken::kDouble) {
    return at::cat({rows(from, 0, 1), resize_grid(rows(from, 1, patches + 1), config),
                    rows(from, patches + 1, patches + 2)},
                   1);
  }
  const int64_t middle = patches / 2, new_middle = config.patches() / 2;
  const at::Tensor grid =
      resize_grid(at::cat({rows(from, 0, middle), rows(from, middle + 1, patches + 1)}, 1), config);
  return at::cat({rows(grid, 0, new_middle), rows(from, middle, middle + 1),
                  rows(grid, new_middle, config.patches())},
                 1);
}

}  // namespace vim::nn
