#include "ops/bidirectional_mixer/problem.h"

#include <ATen/ops/empty.h>

#include "ops/bidirectional_mixer/cuda_kernel.h"
#include "ops/check.h"
#include "ops/cuda_support.h"

namespace vim::ops::mixer {
namespace {

constexpr const char* kOp = "bidirectional_mixer";

using cuda::Move;
using cuda::Rule;

void run_moves(const std::vector<Move>& moves, at::ScalarType dtype) {
  with_storage_type(kOp, dtype, [&](auto tag) {
    cuda::move<decltype(tag)>(moves.data(), static_cast<int>(moves.size()), current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

// A move between matrices; the smaller one of both is the corner of the other.
Move move_of(Rule rule, const at::Tensor& from, const at::Tensor& to) {
  return {rule,
          from.const_data_ptr<float>(),
          from.stride(0),
          static_cast<int>(std::min(from.size(0), to.size(0))),
          static_cast<int>(std::min(from.size(1), to.size(1))),
          to.data_ptr(),
          to.stride(0),
          static_cast<int>(to.size(0)),
          static_cast<int>(to.size(1))};
}

MixerBranch branch_of(at::TensorList list) {
  TORCH_CHECK(list.size() == kBranchTensors, kOp, ": a branch has ", kBranchTensors,
              " tensors, got ", list.size());
  return {list[0], list[1], list[2], list[3], list[4], list[5], list[6]};
}

}  // namespace

Problem make_problem(const at::Tensor& tokens, const at::Tensor& in_proj, at::TensorList forward,
                     at::TensorList backward, const at::Tensor& out_proj, bool average) {
  TORCH_CHECK(tokens.dim() == 3, kOp, ": tokens must be [batch, length, channels], got ",
              tokens.sizes());
  Problem p{in_proj,
            out_proj,
            {branch_of(forward), branch_of(backward)},
            average,
            tokens.size(0),
            tokens.size(1),
            tokens.size(2),
            out_proj.size(1),
            p.branch[0].A_log.size(1),
            p.branch[0].dt_proj.size(1)};
  const auto check = [&](const char* name, const at::Tensor& tensor, at::IntArrayRef sizes) {
    check_tensor(kOp, name, tensor, sizes, "", tokens, at::kFloat);
    TORCH_CHECK(tensor.is_contiguous(), kOp, ": ", name, " must be contiguous");
  };
  check("in_proj", in_proj, {2 * p.inner, p.embed});
  check("out_proj", out_proj, {p.embed, p.inner});
  const int64_t taps = p.branch[0].conv_weight.size(1);
  for (const MixerBranch& b : p.branch) {
    check("conv_weight", b.conv_weight, {p.inner, taps});
    check("conv_bias", b.conv_bias, {p.inner});
    check("x_proj", b.x_proj, {p.rank + 2 * p.state, p.inner});
    check("dt_proj", b.dt_proj, {p.inner, p.rank});
    check("delta_bias", b.delta_bias, {p.inner});
    check("A_log", b.A_log, {p.inner, p.state});
    check("D", b.D, {p.inner});
  }
  return p;
}

Packed pack(const Problem& p, at::ScalarType dtype) {
  const auto options = p.in_proj.options().dtype(dtype);
  Packed to{p.in_proj, p.out_proj, at::empty({2, p.x_width(), p.inner}, options),
            at::empty({2, p.inner, p.step_width()}, options),
            at::empty({2, p.inner, p.state}, p.in_proj.options())};
  std::vector<Move> moves;
  if (dtype != at::kFloat) {
    to.in_proj = at::empty(p.in_proj.sizes(), options);
    to.out_proj = at::empty(p.out_proj.sizes(), options);
    moves = {move_of(Rule::kCopy, p.in_proj, to.in_proj),
             move_of(Rule::kCopy, p.out_proj, to.out_proj)};
  }
  for (int i = 0; i < 2; ++i) {
    const MixerBranch& b = p.branch[i];
    const at::Tensor x_proj = to.x_proj[i];
    moves.push_back(move_of(Rule::kCopy, b.x_proj.narrow(0, p.rank, 2 * p.state),
                            x_proj.narrow(0, 0, 2 * p.state)));
    moves.push_back(move_of(Rule::kCopy, b.x_proj.narrow(0, 0, p.rank),
                            x_proj.narrow(0, 2 * p.state, p.step_width())));
    moves.push_back(move_of(Rule::kCopy, b.dt_proj, to.dt_proj[i]));
    moves.push_back(move_of(Rule::kNegativeExp, b.A_log, to.A[i]));
  }
  run_moves(moves, dtype);
  return to;
}

}  // namespace vim::ops::mixer
