#include "nn/rotary.h"

#include <ATen/ATen.h>

#include <vector>

namespace vim::nn {
namespace {

// Angles of one axis, [cells, embed_dim / 2]; every frequency stands twice, for the two channels of
// its pair.
at::Tensor axis_angles(int64_t cells, const ModelConfig& config) {
  const int64_t width = config.embed_dim / 2;
  const at::Tensor frequencies = at::pow(10000.0, -at::arange(0, width, 2, at::kFloat) / width);
  const at::Tensor positions = at::arange(cells, at::kFloat) / cells * config.rotary_grid;
  return at::outer(positions, frequencies).repeat_interleave(2, -1);
}

// (a, b) -> (-b, a) in each pair of neighbouring channels.
at::Tensor quarter_turn(const at::Tensor& tokens) {
  const at::Tensor pairs = tokens.unflatten(-1, {-1, 2});
  return at::stack({-pairs.select(-1, 1), pairs.select(-1, 0)}, -1).flatten(-2);
}

}  // namespace

RotaryTable make_rotary_table(const ModelConfig& config) {
  const int64_t rows = config.grid_height(), columns = config.grid_width();
  const at::Tensor angles =
      at::cat({axis_angles(rows, config).unsqueeze(1).expand({-1, columns, -1}),
               axis_angles(columns, config).unsqueeze(0).expand({rows, -1, -1})},
              -1)
          .flatten(0, 1);
  return {angles.cos(), angles.sin()};
}

at::Tensor rotate(const at::Tensor& tokens, const RotaryTable& table,
                  at::IntArrayRef class_positions) {
  std::vector<at::Tensor> turned;
  int64_t token = 0, patch = 0;
  const auto turn_until = [&](int64_t end) {
    if (end > token) {
      const at::Tensor part = tokens.slice(1, token, end);
      turned.push_back(part * table.cos.slice(0, patch, patch + end - token) +
                       quarter_turn(part) * table.sin.slice(0, patch, patch + end - token));
    }
    patch += end - token;
    token = end;
  };
  for (const int64_t position : class_positions) {
    turn_until(position);
    turned.push_back(tokens.slice(1, position, position + 1));
    ++token;
  }
  turn_until(tokens.size(1));
  return at::cat(turned, 1);
}

}  // namespace vim::nn
