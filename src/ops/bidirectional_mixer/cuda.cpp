// The mixer as one node of the autograd graph: the large matrix products by cuBLAS, the kernels of
// the convolution, the projections behind it and the scan on both directions at once, and nothing
// between them. Tensors of both directions are stacked, [2, ...], the forward one first.
//
// Kept for the backward pass, in numbers of the compute type per token: the tokens, their
// projection (2 inner_dim), the scan's input (2 x_width) and what the scan saves. The convolution's
// output and delta are cheaper to compute again than to keep: one is bound by memory, the other a
// product with a short inner dimension.
#include <ATen/autocast_mode.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

#include "ops/autograd.h"
#include "ops/bidirectional_mixer/cuda_kernel.h"
#include "ops/bidirectional_mixer/projections.h"
#include "ops/causal_conv1d/cuda_kernel.h"
#include "ops/check.h"
#include "ops/cuda_support.h"
#include "ops/selective_scan/cuda_kernel.h"
#include "vim/ops/ops.h"

namespace vim::ops {
namespace mixer {
namespace {

constexpr const char* kOp = "bidirectional_mixer";
constexpr int64_t kBranchTensors = 7;

// The parameters, as they are given, and the sizes that follow from them.
struct Problem {
  at::Tensor in_proj, out_proj;
  MixerBranch branch[2];
  bool average;
  int64_t batch, length, embed, inner, state, rank, taps;

  int64_t tokens() const { return batch * length; }
  // Columns of the scan's input: B, C, the step's low rank, and zeros up to a multiple of 8,
  // without which cuBLAS takes slow kernels.
  int64_t step_width() const { return (2 * state + rank + 7) / 8 * 8 - 2 * state; }
  int64_t x_width() const { return 2 * state + step_width(); }
  cuda::ProjectionShape projections() const {
    return {tokens(), static_cast<int>(inner), static_cast<int>(state), static_cast<int>(rank),
            static_cast<int>(step_width())};
  }
};

MixerBranch branch_of(at::TensorList list) {
  TORCH_CHECK(list.size() == kBranchTensors, kOp, ": a branch has ", kBranchTensors,
              " tensors, got ", list.size());
  return {list[0], list[1], list[2], list[3], list[4], list[5], list[6]};
}

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
            p.branch[0].dt_proj.size(1),
            p.branch[0].conv_weight.size(1)};
  const auto check = [&](const char* name, const at::Tensor& tensor, at::IntArrayRef sizes) {
    check_tensor(kOp, name, tensor, sizes, "", tokens, at::kFloat);
    TORCH_CHECK(tensor.is_contiguous(), kOp, ": ", name, " must be contiguous");
  };
  check("in_proj", in_proj, {2 * p.inner, p.embed});
  check("out_proj", out_proj, {p.embed, p.inner});
  for (const MixerBranch& b : p.branch) {
    check("conv_weight", b.conv_weight, {p.inner, p.taps});
    check("conv_bias", b.conv_bias, {p.inner});
    check("x_proj", b.x_proj, {p.rank + 2 * p.state, p.inner});
    check("dt_proj", b.dt_proj, {p.inner, p.rank});
    check("delta_bias", b.delta_bias, {p.inner});
    check("A_log", b.A_log, {p.inner, p.state});
    check("D", b.D, {p.inner});
  }
  return p;
}

// The weights as the products and kernels want them.
struct Packed {
  at::Tensor in_proj, out_proj;  // in the compute type
  at::Tensor x_proj;             // [2, x_width, inner]: the rows of B, C, the step, zeros
  at::Tensor dt_proj;            // [2, inner, step_width]
  at::Tensor A;                  // [2, inner, state], float
};

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

// One direction of [2, tokens, n], or columns of [tokens, n], as the kernels see it.
template <class T>
Rows<T> rows(const Problem& p, const at::Tensor& matrix, int64_t first_column = 0) {
  using Value = std::remove_const_t<T>;
  return {static_cast<Value*>(matrix.data_ptr()) + first_column, p.length * matrix.stride(0),
          matrix.stride(0)};
}

template <class T>
conv::cuda::Inputs<T> conv_inputs(const Problem& p, const at::Tensor& xz) {
  conv::cuda::Inputs<T> in{p.batch,
                           p.length,
                           p.inner,
                           static_cast<int>(p.taps),
                           true,
                           /*branches=*/2,
                           rows<const T>(p, xz),
                           {}};
  for (int i = 0; i < 2; ++i) {
    in.parameters[i] = {storage<const float>(p.branch[i].conv_weight),
                        storage<const float>(p.branch[i].conv_bias)};
  }
  return in;
}

// u [2, tokens, inner] of the first half of xz [tokens, 2 inner].
at::Tensor convolve(const Problem& p, const at::Tensor& xz) {
  const at::Tensor u = at::empty({2, p.tokens(), p.inner}, xz.options());
  with_storage_type(kOp, xz.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    conv::cuda::forward<T>({conv_inputs<T>(p, xz), {rows<T>(p, u[0]), rows<T>(p, u[1])}},
                           current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return u;
}

template <class T>
scan::cuda::Inputs<T> scan_inputs(const Problem& p, const Packed& weights, const at::Tensor& xz,
                                  const at::Tensor& u, const at::Tensor& x_dbl,
                                  const at::Tensor& delta) {
  scan::cuda::Inputs<T> in{};
  in.batch = p.batch, in.length = p.length, in.channels = p.inner, in.state = p.state;
  in.directions = 2;
  for (int i = 0; i < 2; ++i) {
    in.direction[i] = {rows<const T>(p, u[i]),
                       rows<const T>(p, delta[i]),
                       rows<const T>(p, x_dbl[i]),
                       rows<const T>(p, x_dbl[i], p.state),
                       storage<const float>(weights.A[i]),
                       storage<const float>(p.branch[i].D),
                       storage<const float>(p.branch[i].delta_bias),
                       /*reverse=*/i == 1};
  }
  in.z = rows<const T>(p, xz, p.inner);
  in.delta_softplus = true;
  in.scale = p.average ? 0.5f : 1.0f;
  return in;
}

// What the backward pass starts from.
struct Saved {
  at::Tensor tokens;  // [tokens, embed], as all below in the compute type
  at::Tensor xz;      // [tokens, 2 inner]
  at::Tensor x_dbl;   // [2, tokens, x_width]
  at::Tensor scan;    // bytes
  Packed weights;
};

// [tokens, embed] in the compute type.
at::Tensor as_rows(const at::Tensor& tokens) {
  const at::ScalarType dtype = at::autocast::is_autocast_enabled(at::kCUDA)
                                   ? at::autocast::get_autocast_dtype(at::kCUDA)
                                   : tokens.scalar_type();
  return tokens.to(dtype).reshape({-1, tokens.size(2)});
}

// tokens [tokens, embed] in the compute type.
at::Tensor run_forward(const Problem& p, const at::Tensor& flat, Saved* saved) {
  const at::ScalarType dtype = flat.scalar_type();
  const Packed weights = pack(p, dtype);
  const at::Tensor xz = at::mm(flat, weights.in_proj.t());
  const at::Tensor u = convolve(p, xz);
  const at::Tensor x_dbl = at::bmm(u, weights.x_proj.transpose(1, 2));
  const at::Tensor delta = expand_steps(p.projections(), x_dbl, weights.dt_proj);
  const at::Tensor out = at::empty({p.tokens(), p.inner}, xz.options());
  at::Tensor scan_saved;
  with_storage_type(kOp, dtype, [&](auto tag) {
    using T = decltype(tag);
    const auto in = scan_inputs<T>(p, weights, xz, u, x_dbl, delta);
    if (saved != nullptr) {
      scan_saved = at::empty({scan::cuda::saved_bytes(in)}, xz.options().dtype(at::kByte));
    }
    C10_CUDA_CHECK(
        scan::cuda::forward<T>({in, rows<T>(p, out), storage<void>(scan_saved)}, current_stream()));
  });
  if (saved != nullptr) *saved = {flat, xz, x_dbl, scan_saved, weights};
  return at::mm(out, weights.out_proj.t()).view({p.batch, p.length, p.embed});
}

struct BranchGradients {
  at::Tensor conv_weight, conv_bias, delta_bias, D;  // [2, ...]
  at::Tensor A;                                      // [2, inner, state]
  ProjectionWeights projections[2];
};

// The scan's gradients land in grad_xz's second half and grad_x_dbl's first columns.
struct ScanGradients {
  at::Tensor u, delta;  // [2, tokens, inner]
  at::Tensor out;       // [tokens, inner]: the scan's result once more
};

ScanGradients scan_backward(const Problem& p, const Saved& saved, const at::Tensor& u,
                            const at::Tensor& grad_out, const at::Tensor& grad_xz,
                            const at::Tensor& grad_x_dbl, BranchGradients& grads) {
  const auto options = grad_out.options();
  const auto floats = p.in_proj.options();
  const at::Tensor delta = expand_steps(p.projections(), saved.x_dbl, saved.weights.dt_proj);
  ScanGradients to{at::empty_like(u), at::empty_like(u), at::empty({p.tokens(), p.inner}, options)};
  grads.A = at::empty({2, p.inner, p.state}, floats);
  grads.D = at::empty({2, p.inner}, floats);
  grads.delta_bias = at::empty({2, p.inner}, floats);
  with_storage_type(kOp, grad_out.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    scan::cuda::Backward<T> work{};
    work.in = scan_inputs<T>(p, saved.weights, saved.xz, u, saved.x_dbl, delta);
    work.saved = storage<void>(saved.scan);
    work.grad_out = rows<const T>(p, grad_out);
    for (int i = 0; i < 2; ++i) {
      work.grad[i] = {rows<T>(p, to.u[i]),
                      rows<T>(p, to.delta[i]),
                      rows<T>(p, grad_x_dbl[i]),
                      rows<T>(p, grad_x_dbl[i], p.state),
                      storage<float>(grads.A[i]),
                      storage<float>(grads.D[i]),
                      storage<float>(grads.delta_bias[i])};
    }
    work.grad_z = rows<T>(p, grad_xz, p.inner);
    work.out = rows<T>(p, to.out);
    const at::Tensor workspace =
        at::empty({scan::cuda::workspace_bytes(work.in)}, options.dtype(at::kByte));
    work.workspace = storage<void>(workspace);
    C10_CUDA_CHECK(scan::cuda::backward<T>(work, current_stream()));
  });
  return to;
}

// Into the first half of grad_xz.
void conv_backward(const Problem& p, const at::Tensor& xz, const at::Tensor& grad_u,
                   const at::Tensor& grad_xz, BranchGradients& grads) {
  const auto floats = p.in_proj.options();
  grads.conv_weight = at::empty({2, p.inner, p.taps}, floats);
  grads.conv_bias = at::empty({2, p.inner}, floats);
  const at::Tensor workspace =
      at::empty({conv::cuda::workspace_size(p.batch, p.length, p.inner, /*branches=*/2)}, floats);
  with_storage_type(kOp, xz.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    conv::cuda::Backward<T> work{conv_inputs<T>(p, xz),
                                 {rows<const T>(p, grad_u[0]), rows<const T>(p, grad_u[1])},
                                 rows<T>(p, grad_xz),
                                 {},
                                 storage<float>(workspace)};
    for (int i = 0; i < 2; ++i) {
      work.parameters[i] = {storage<float>(grads.conv_weight[i]),
                            storage<float>(grads.conv_bias[i])};
    }
    conv::cuda::backward<T>(work, current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

// Of the projections between convolution and scan; the last columns of grad_x_dbl are written.
void projection_backward(const Problem& p, const Saved& saved, const at::Tensor& u,
                         const ScanGradients& scanned, const at::Tensor& grad_x_dbl,
                         BranchGradients& grads) {
  for (int i = 0; i < 2; ++i) {
    const MixerBranch& b = p.branch[i];
    grads.projections[i] = {at::empty(b.x_proj.sizes(), b.x_proj.options()),
                            at::empty(b.dt_proj.sizes(), b.dt_proj.options())};
  }
  const Packed& weights = saved.weights;
  projection_gradients(
      p.projections(),
      {saved.x_dbl, u, weights.x_proj, weights.dt_proj, scanned.delta, grad_x_dbl, scanned.u},
      grads.projections);
}

// In the order of MixerBranch.
std::vector<at::Tensor> branch_gradients(const Saved& saved, const BranchGradients& grads) {
  const at::Tensor A_log = grads.A.mul(saved.weights.A);  // d(-exp(x)) = -exp(x) dx
  std::vector<at::Tensor> list;
  for (int i = 0; i < 2; ++i) {
    const ProjectionWeights& projections = grads.projections[i];
    list.insert(list.end(), {grads.conv_weight[i], grads.conv_bias[i], projections.x_proj,
                             projections.dt_proj, grads.delta_bias[i], A_log[i], grads.D[i]});
  }
  return list;
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The gradients of tokens, in_proj, the branches' tensors, out_proj.
variable_list run_backward(const Problem& p, const Saved& saved, const at::Tensor& grad) {
  const auto options = saved.xz.options();
  const Packed& weights = saved.weights;
  const at::Tensor flat = grad.to(saved.xz.scalar_type()).reshape({p.tokens(), p.embed});
  BranchGradients grads;

  const at::Tensor grad_xz = at::empty(saved.xz.sizes(), options);
  const at::Tensor grad_x_dbl = at::empty(saved.x_dbl.sizes(), options);
  const at::Tensor u = convolve(p, saved.xz);
  const ScanGradients scanned =
      scan_backward(p, saved, u, at::mm(flat, weights.out_proj), grad_xz, grad_x_dbl, grads);
  const at::Tensor grad_out_proj = float_product(flat, scanned.out);

  projection_backward(p, saved, u, scanned, grad_x_dbl, grads);
  conv_backward(p, saved.xz, scanned.u, grad_xz, grads);
  const at::Tensor grad_in_proj = float_product(grad_xz, saved.tokens);
  variable_list list = {at::mm(grad_xz, weights.in_proj).view({p.batch, p.length, p.embed}),
                        grad_in_proj};
  const std::vector<at::Tensor> branches = branch_gradients(saved, grads);
  list.insert(list.end(), branches.begin(), branches.end());
  list.push_back(grad_out_proj);
  return list;
}

// With `recompute` only the tokens are kept, and the backward pass begins with another forward one.
class Mixer : public torch::autograd::Function<Mixer> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& tokens,
                            const at::Tensor& in_proj, at::TensorList forward_branch,
                            at::TensorList backward_branch, const at::Tensor& out_proj,
                            bool average, bool recompute) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const c10::cuda::CUDAGuard guard(tokens.device());
    const Problem p =
        make_problem(tokens, in_proj, forward_branch, backward_branch, out_proj, average);
    Saved saved;
    const at::Tensor flat = as_rows(tokens);
    at::Tensor out = run_forward(p, flat, recompute ? nullptr : &saved);
    variable_list keep = {in_proj, out_proj};
    keep.insert(keep.end(), forward_branch.begin(), forward_branch.end());
    keep.insert(keep.end(), backward_branch.begin(), backward_branch.end());
    keep.push_back(flat);
    if (!recompute) {
      keep.insert(keep.end(),
                  {saved.xz, saved.x_dbl, saved.scan, saved.weights.in_proj, saved.weights.out_proj,
                   saved.weights.x_proj, saved.weights.dt_proj, saved.weights.A});
    }
    context->save_for_backward(std::move(keep));
    context->saved_data["average"] = average;
    context->saved_data["length"] = tokens.size(1);
    context->saved_data["dtype"] = tokens.scalar_type();
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list kept = context->get_saved_variables();
    constexpr size_t kFlat = 2 + 2 * kBranchTensors;
    const at::Tensor& flat = kept[kFlat];
    const c10::cuda::CUDAGuard guard(flat.device());
    const at::TensorList branches = at::TensorList(kept).slice(2);
    const Problem p = make_problem(
        flat.view({-1, context->saved_data["length"].toInt(), flat.size(1)}), kept[0],
        branches.slice(0, kBranchTensors), branches.slice(kBranchTensors, kBranchTensors), kept[1],
        context->saved_data["average"].toBool());
    Saved saved;
    if (kept.size() == kFlat + 1) {
      run_forward(p, flat, &saved);
    } else {
      const auto* rest = &kept[kFlat + 1];
      saved = {flat, rest[0], rest[1], rest[2], {rest[3], rest[4], rest[5], rest[6], rest[7]}};
    }
    variable_list list = run_backward(p, saved, grads[0]);
    list[0] = list[0].to(context->saved_data["dtype"].toScalarType());
    list.resize(list.size() + 2);  // average, recompute
    return list;
  }
};

at::Tensor forward(const at::Tensor& tokens, const at::Tensor& in_proj,
                   at::TensorList forward_branch, at::TensorList backward_branch,
                   const at::Tensor& out_proj, bool average, bool /*recompute*/) {
  const c10::cuda::CUDAGuard guard(tokens.device());
  return run_forward(
      make_problem(tokens, in_proj, forward_branch, backward_branch, out_proj, average),
      as_rows(tokens), nullptr);
}

at::Tensor autograd(const at::Tensor& tokens, const at::Tensor& in_proj,
                    at::TensorList forward_branch, at::TensorList backward_branch,
                    const at::Tensor& out_proj, bool average, bool recompute) {
  if (at::GradMode::is_enabled()) {
    return Mixer::apply(tokens, in_proj, forward_branch, backward_branch, out_proj, average,
                        recompute);
  }
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return forward(tokens, in_proj, forward_branch, backward_branch, out_proj, average, recompute);
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, CUDA, m) {
  m.impl("bidirectional_mixer", forward);
}

TORCH_LIBRARY_IMPL(vim, AutogradCUDA, m) {
  m.impl("bidirectional_mixer", autograd);
}

}  // namespace mixer
}  // namespace vim::ops
