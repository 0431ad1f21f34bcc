#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>

#include "ops/cpu_support.h"
#include "ops/selective_scan/cpu_kernel.h"
#include "ops/selective_scan/op.h"

namespace vim::ops::scan {
namespace {

constexpr double kLog2e = 1.4426950408889634074;

// An element of a state takes about half a nanosecond forward, and twice that backward.
constexpr int64_t kStepsForward = 1, kStepsBackward = 2;

template <class T>
const Kernels<T>& kernels() {
  if constexpr (std::is_same_v<T, float>) {
    return VIM_CHOOSE_KERNELS(scan_f32);
  } else {
    return VIM_CHOOSE_KERNELS(scan_f64);
  }
}

// Parts that a sample's channels are divided into, so that a small batch occupies the processor. A
// function of the shapes alone: the number of threads must not change the order of a sum.
int64_t channel_groups(int64_t batch, int64_t channels, int64_t lanes) {
  constexpr int64_t kEnoughItems = 8;
  const int64_t blocks = (channels + lanes - 1) / lanes;
  const int64_t wanted = (kEnoughItems + batch - 1) / std::max<int64_t>(1, batch);
  const int64_t per_group = std::max<int64_t>(1, (blocks + wanted - 1) / wanted);
  return std::max<int64_t>(1, (blocks + per_group - 1) / per_group);
}

struct CpuArguments : Arguments {
  at::Tensor rates;  // [state, channels]: A log2(e)

  explicit CpuArguments(const Arguments& from)
      : Arguments(from), rates(A.t().contiguous().mul_(kLog2e)) {}

  int64_t batch() const { return u.size(0); }
  int64_t length() const { return u.size(1); }
  int64_t channels() const { return u.size(2); }
  int64_t state() const { return A.size(1); }
  // Of a work item, for each step that an element of a state takes.
  int64_t cost(int64_t groups, int64_t steps) const {
    return length() * channels() / groups * state() * steps;
  }
  int64_t chunks() const { return (length() + kChunk - 1) / kChunk; }

  template <class T>
  Inputs<T> inputs() const {
    const int64_t groups = channel_groups(batch(), channels(), kernels<T>().lanes);
    const auto rows = [&](const at::Tensor& t) { return rows_of<const T>(t, reverse); };
    return {length(),
            channels(),
            state(),
            groups,
            rows(u),
            rows(delta),
            z.defined() ? rows(z) : Rows<const T>{},
            rows(B),
            rows(C),
            rates.const_data_ptr<T>(),
            numbers<T>(D),
            numbers<T>(delta_bias),
            delta_softplus};
  }
};

Pair forward(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A, const at::Tensor& B,
             const at::Tensor& C, const OptionalTensor& D, const OptionalTensor& z,
             const OptionalTensor& delta_bias, bool delta_softplus, bool reverse,
             bool keep_states) {
  const CpuArguments args({u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse});
  at::Tensor out = at::empty(args.u.sizes(), args.u.options());
  at::Tensor states =
      at::empty({keep_states ? args.batch() : 0, args.chunks(), args.state(), args.channels()},
                out.options());
  AT_DISPATCH_FLOATING_TYPES(args.u.scalar_type(), "selective_scan", [&] {
    const auto& kernel = kernels<scalar_t>();
    const Forward<scalar_t> work{args.inputs<scalar_t>(), rows_of<scalar_t>(out, args.reverse),
                                 keep_states ? states.mutable_data_ptr<scalar_t>() : nullptr};
    for_items<scalar_t>(args.batch() * work.in.groups, args.cost(work.in.groups, kStepsForward),
                        kernel.forward_scratch(work.in),
                        [&](int64_t begin, int64_t end, scalar_t* scratch) {
                          kernel.forward(work, begin, end, scratch);
                        });
  });
  return {out, states};
}

template <class T>
Gradients run_backward(const CpuArguments& args, const at::Tensor& grad, const at::Tensor& states) {
  const auto options = args.u.options();
  const auto& kernel = kernels<T>();
  const Inputs<T> in = args.inputs<T>();
  const int64_t batch = args.batch(), groups = in.groups;
  const at::Tensor grad_u = at::empty(args.u.sizes(), options);
  const at::Tensor grad_delta = at::empty(args.u.sizes(), options);
  const at::Tensor grad_z = args.z.defined() ? at::empty(args.u.sizes(), options) : at::Tensor();
  const at::Tensor grad_B = at::empty({groups, batch, args.length(), args.state()}, options);
  const at::Tensor grad_C = at::empty(grad_B.sizes(), options);
  const at::Tensor grad_A = at::zeros({batch, args.state(), args.channels()}, options);
  const at::Tensor grad_D = at::zeros({batch, args.channels()}, options);
  const at::Tensor grad_bias = at::zeros({batch, args.channels()}, options);

  const auto rows = [&](const at::Tensor& t) { return rows_of<T>(t, args.reverse); };
  const Backward<T> work{in,
                         states.const_data_ptr<T>(),
                         rows_of<const T>(grad, args.reverse),
                         rows(grad_u),
                         rows(grad_delta),
                         grad_z.defined() ? rows(grad_z) : Rows<T>{},
                         rows(grad_B[0]),
                         rows(grad_C[0]),
                         grad_B.stride(0),
                         grad_A.mutable_data_ptr<T>(),
                         grad_D.mutable_data_ptr<T>(),
                         grad_bias.mutable_data_ptr<T>()};
  for_items<T>(
      batch * groups, args.cost(groups, kStepsBackward), kernel.backward_scratch(in),
      [&](int64_t begin, int64_t end, T* scratch) { kernel.backward(work, begin, end, scratch); });
  const auto total = [&](const at::Tensor& parts) {
    return groups == 1 ? parts.squeeze(0) : sum_of_first<T>(parts);
  };
  return {grad_u,
          grad_delta,
          sum_of_first<T>(grad_A).t().contiguous(),
          total(grad_B),
          total(grad_C),
          args.D.defined() ? sum_of_first<T>(grad_D) : at::Tensor(),
          grad_z,
          args.delta_bias.defined() ? sum_of_first<T>(grad_bias) : at::Tensor()};
}

Gradients backward(const at::Tensor& grad, const at::Tensor& states, const at::Tensor& u,
                   const at::Tensor& delta, const at::Tensor& A, const at::Tensor& B,
                   const at::Tensor& C, const OptionalTensor& D, const OptionalTensor& z,
                   const OptionalTensor& delta_bias, bool delta_softplus, bool reverse) {
  const CpuArguments args({u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse});
  return AT_DISPATCH_FLOATING_TYPES(u.scalar_type(), "selective_scan_backward", [&] {
    return run_backward<scalar_t>(args, with_contiguous_rows(grad), states);
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, CPU, m) {
  m.impl("_selective_scan_forward", forward);
  m.impl("_selective_scan_backward", backward);
}

}  // namespace vim::ops::scan
