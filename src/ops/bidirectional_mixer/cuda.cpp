// The mixer as one node of the autograd graph: the large matrix products by cuBLAS, the kernels of
// the convolution, the projections behind it and the scan on both directions at once, and nothing
// between them. Tensors of both directions are stacked, [2, ...], the forward one first.
//
// Kept for the backward pass, in numbers of the compute type per token: the tokens, the scan's
// input (2 x_width) and what the scan saves; with `recompute` the tokens alone, and the scan walks
// once more. The rest is cheaper to compute again than to keep: the tokens' projection and delta
// are products with a short inner dimension, and the convolution is bound by the memory that it
// would be read from.
#include <ATen/autocast_mode.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

#include "ops/autograd.h"
#include "ops/bidirectional_mixer/problem.h"
#include "ops/bidirectional_mixer/projections.h"
#include "ops/both_directions/cuda_stages.h"

namespace vim::ops {
namespace mixer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What the backward pass starts from. With recomputation x_dbl and what the scan saves are absent.
struct Saved {
  at::Tensor tokens;  // [tokens, embed], as x_dbl in the compute type
  Packed weights;
  at::Tensor x_dbl;  // [2, batch, length, x_width]
  at::Tensor scan;   // bytes
};

// [tokens, embed] in the compute type.
at::Tensor as_rows(const at::Tensor& tokens) {
  const at::ScalarType dtype = at::autocast::is_autocast_enabled(at::kCUDA)
                                   ? at::autocast::get_autocast_dtype(at::kCUDA)
                                   : tokens.scalar_type();
  return tokens.to(dtype).reshape({-1, tokens.size(2)});
}

// [batch, length, 2 inner]: the scan's side and the gate's.
at::Tensor project(const Problem& p, const at::Tensor& rows, const Packed& weights) {
  return at::mm(rows, weights.in_proj.t()).view({p.batch, p.length, 2 * p.inner});
}
at::Tensor x_of(const Problem& p, const at::Tensor& xz) {
  return xz.narrow(-1, 0, p.inner);
}
at::Tensor z_of(const Problem& p, const at::Tensor& xz) {
  return xz.narrow(-1, p.inner, p.inner);
}

// Of x_dbl, or of its gradient.
at::Tensor B_of(const Problem& p, const at::Tensor& x_dbl) {
  return x_dbl.narrow(-1, 0, p.state);
}
at::Tensor C_of(const Problem& p, const at::Tensor& x_dbl) {
  return x_dbl.narrow(-1, p.state, p.state);
}

// Of u [2, batch, length, inner].
at::Tensor x_dbl_of(const Problem& p, const at::Tensor& u, const Packed& weights) {
  return at::bmm(u.flatten(1, 2), weights.x_proj.transpose(1, 2))
      .view({2, p.batch, p.length, p.x_width()});
}

both::ConvInputs conv_inputs(const Problem& p, const at::Tensor& xz) {
  return {x_of(p, xz), p.of_both(&MixerBranch::conv_weight), p.of_both(&MixerBranch::conv_bias)};
}

at::Tensor delta_of(const Problem& p, const at::Tensor& x_dbl, const Packed& weights) {
  return expand_steps(p.projections(), x_dbl.flatten(1, 2), weights.dt_proj)
      .view({2, p.batch, p.length, p.inner});
}

// Without delta.
both::ScanInputs scan_inputs(const Problem& p, const Packed& weights, const at::Tensor& xz,
                             const at::Tensor& u, const at::Tensor& x_dbl) {
  return {u,
          at::Tensor(),
          B_of(p, x_dbl),
          C_of(p, x_dbl),
          z_of(p, xz),
          both::halves(weights.A),
          p.of_both(&MixerBranch::D),
          p.of_both(&MixerBranch::delta_bias),
          p.average ? 0.5 : 1.0,
          x_dbl.narrow(-1, 2 * p.state, p.step_width()),
          weights.dt_proj};
}

// `saved` is null where nothing is kept of what the scan leaves to the backward pass.
at::Tensor run_forward(const Problem& p, const at::Tensor& rows, const Packed& weights,
                       Saved* saved) {
  const at::Tensor xz = project(p, rows, weights);
  const at::Tensor u = both::convolve(conv_inputs(p, xz));
  const at::Tensor x_dbl = x_dbl_of(p, u, weights);
  // Nobody reads x after the convolution.
  const at::Tensor out = x_of(p, xz);
  both::ScanInputs scan = scan_inputs(p, weights, xz, u, x_dbl);
  if (saved != nullptr || !both::takes_steps(scan, out)) scan.delta = delta_of(p, x_dbl, weights);
  both::scan_forward(scan, out, saved != nullptr ? &saved->scan : nullptr);
  if (saved != nullptr) saved->x_dbl = x_dbl;
  return at::mm(out.flatten(0, 1), weights.out_proj.t()).view({p.batch, p.length, p.embed});
}

MixerBranch empty_gradients(const MixerBranch& of, const at::Tensor& A) {
  const auto like = [](const at::Tensor& tensor) { return at::empty_like(tensor); };
  return {like(of.conv_weight),
          like(of.conv_bias),
          like(of.x_proj),
          like(of.dt_proj),
          like(of.delta_bias),
          A,
          like(of.D)};
}

// The gradients of tokens, in_proj, the branches' tensors, out_proj.
variable_list run_backward(const Problem& p, const Saved& saved, const at::Tensor& grad) {
  const Packed& weights = saved.weights;
  const at::Tensor grad_rows = grad.to(saved.tokens.scalar_type()).reshape({p.tokens(), p.embed});
  const at::Tensor xz = project(p, saved.tokens, weights);
  const both::ConvInputs conv = conv_inputs(p, xz);
  const at::Tensor u = both::convolve(conv);
  const at::Tensor x_dbl = saved.x_dbl.defined() ? saved.x_dbl : x_dbl_of(p, u, weights);
  both::ScanInputs scan = scan_inputs(p, weights, xz, u, x_dbl);
  scan.delta = delta_of(p, x_dbl, weights);
  const at::Tensor grad_xz = at::empty_like(xz), grad_x_dbl = at::empty_like(x_dbl);
  at::Tensor grad_A = at::empty_like(weights.A);
  const MixerBranch to[2] = {empty_gradients(p.branch[0], grad_A[0]),
                             empty_gradients(p.branch[1], grad_A[1])};

  const both::ScanGradients scanned = {at::empty_like(u),
                                       at::empty_like(u),
                                       B_of(p, grad_x_dbl),
                                       C_of(p, grad_x_dbl),
                                       z_of(p, grad_xz),
                                       both::halves(grad_A),
                                       {to[0].D, to[1].D},
                                       {to[0].delta_bias, to[1].delta_bias},
                                       at::empty({p.batch, p.length, p.inner}, xz.options())};
  at::Tensor of_scan = saved.scan;
  if (!of_scan.defined()) both::scan_forward(scan, scanned.out, &of_scan);
  both::scan_backward(scan, of_scan, at::mm(grad_rows, weights.out_proj).view(scanned.out.sizes()),
                      scanned);
  grad_A.mul_(weights.A);  // A = -exp(A_log) is its own derivative

  projection_gradients(
      p.projections(),
      {x_dbl.flatten(1, 2), u.flatten(1, 2), weights.x_proj, weights.dt_proj,
       scanned.delta.flatten(1, 2), grad_x_dbl.flatten(1, 2), scanned.u.flatten(1, 2)},
      {{to[0].x_proj, to[0].dt_proj}, {to[1].x_proj, to[1].dt_proj}});
  both::conv_backward(conv, scanned.u,
                      {x_of(p, grad_xz),
                       {to[0].conv_weight, to[1].conv_weight},
                       {to[0].conv_bias, to[1].conv_bias}});

  const at::Tensor grad_projected = grad_xz.flatten(0, 1);
  variable_list list = {at::mm(grad_projected, weights.in_proj).view({p.batch, p.length, p.embed}),
                        float_product(grad_projected, saved.tokens)};
  for (const MixerBranch& of : to) {
    list.insert(list.end(), {of.conv_weight, of.conv_bias, of.x_proj, of.dt_proj, of.delta_bias,
                             of.A_log, of.D});
  }
  list.push_back(float_product(grad_rows, scanned.out.flatten(0, 1)));
  return list;
}

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
    const at::Tensor rows = as_rows(tokens);
    const Packed weights = pack(p, rows.scalar_type());
    Saved saved{rows, weights, {}, {}};
    at::Tensor out = run_forward(p, rows, weights, recompute ? nullptr : &saved);
    variable_list keep = {
        rows,      weights.in_proj, weights.out_proj, weights.x_proj, weights.dt_proj,
        weights.A, saved.x_dbl,     saved.scan,       in_proj,        out_proj};
    keep.insert(keep.end(), forward_branch.begin(), forward_branch.end());
    keep.insert(keep.end(), backward_branch.begin(), backward_branch.end());
    context->save_for_backward(std::move(keep));
    context->saved_data["average"] = average;
    context->saved_data["length"] = tokens.size(1);
    context->saved_data["dtype"] = tokens.scalar_type();
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list kept = context->get_saved_variables();
    const Saved saved{kept[0], {kept[1], kept[2], kept[3], kept[4], kept[5]}, kept[6], kept[7]};
    const at::TensorList branches = at::TensorList(kept).slice(10);
    const at::Tensor& rows = saved.tokens;
    const c10::cuda::CUDAGuard guard(rows.device());
    const Problem p = make_problem(
        rows.view({-1, context->saved_data["length"].toInt(), rows.size(1)}), kept[8],
        branches.slice(0, kBranchTensors), branches.slice(kBranchTensors, kBranchTensors), kept[9],
        context->saved_data["average"].toBool());
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
  const Problem p =
      make_problem(tokens, in_proj, forward_branch, backward_branch, out_proj, average);
  const at::Tensor rows = as_rows(tokens);
  return run_forward(p, rows, pack(p, rows.scalar_type()), nullptr);
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
