#include "ops/both_directions/cuda_stages.h"

#include <ATen/ops/empty.h>

#include "ops/causal_conv1d/cuda_kernel.h"
#include "ops/cuda_support.h"
#include "ops/selective_scan/cuda_kernel.h"

namespace vim::ops::both {
namespace {

constexpr const char* kScan = "both_scans";
constexpr const char* kConvolution = "both_convolutions";

template <class T>
Rows<T> rows(const at::Tensor& tensor) {
  return rows_of<T>(tensor, /*reverse=*/false);
}

at::Tensor bytes(int64_t size, const at::Tensor& like) {
  return at::empty({size}, like.options().dtype(at::kByte));
}

template <class T>
scan::cuda::Inputs<T> arguments(const ScanInputs& from) {
  scan::cuda::Inputs<T> in{};
  in.batch = from.z.size(0), in.length = from.z.size(1), in.channels = from.z.size(2);
  in.state = from.A[0].size(1);
  in.directions = 2;
  for (int i = 0; i < 2; ++i) {
    in.direction[i] = {rows<const T>(from.u[i]),
                       from.delta.defined() ? rows<const T>(from.delta[i]) : Rows<const T>{},
                       rows<const T>(from.B[i]),
                       rows<const T>(from.C[i]),
                       storage<const float>(from.A[i]),
                       storage<const float>(from.D[i]),
                       storage<const float>(from.delta_bias[i]),
                       /*reverse=*/i == 1};
  }
  in.z = rows<const T>(from.z);
  in.delta_softplus = true;
  in.scale = static_cast<float>(from.scale);
  return in;
}

template <class T>
scan::cuda::Forward<T> forward_work(const ScanInputs& in, const at::Tensor& out) {
  scan::cuda::Forward<T> work{arguments<T>(in), rows<T>(out), nullptr};
  if (in.delta.defined()) return work;
  for (int i = 0; i < 2; ++i) {
    work.steps[i] = {rows<const T>(in.steps[i]), storage<const T>(in.step_weight[i])};
  }
  return work;
}

template <class T>
conv::cuda::Inputs<T> arguments(const ConvInputs& from) {
  conv::cuda::Inputs<T> in{};
  in.batch = from.x.size(0), in.length = from.x.size(1), in.channels = from.x.size(2);
  in.taps = static_cast<int>(from.weight[0].size(1));
  in.silu = true;
  in.branches = 2;
  in.x = rows<const T>(from.x);
  for (int i = 0; i < 2; ++i) {
    in.parameters[i] = {storage<const float>(from.weight[i]), storage<const float>(from.bias[i])};
  }
  return in;
}

}  // namespace

bool takes_steps(const ScanInputs& in, const at::Tensor& out) {
  if (in.steps.size(-1) != scan::cuda::kStepWidth) return false;
  bool takes = false;
  with_storage_type(kScan, out.scalar_type(), [&](auto tag) {
    takes = scan::cuda::takes_steps(forward_work<decltype(tag)>(in, out));
  });
  return takes;
}

void scan_forward(const ScanInputs& in, const at::Tensor& out, at::Tensor* saved) {
  with_storage_type(kScan, out.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    auto work = forward_work<T>(in, out);
    if (saved != nullptr) {
      *saved = bytes(scan::cuda::saved_bytes(work.in), out);
      work.saved = saved->mutable_data_ptr();
    }
    C10_CUDA_CHECK(scan::cuda::forward(work, current_stream()));
  });
}

void scan_backward(const ScanInputs& in, const at::Tensor& saved, const at::Tensor& grad_out,
                   const ScanGradients& to) {
  with_storage_type(kScan, grad_out.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    scan::cuda::Backward<T> work{};
    work.in = arguments<T>(in);
    work.saved = saved.const_data_ptr();
    work.grad_out = rows<const T>(grad_out);
    for (int i = 0; i < 2; ++i) {
      work.grad[i] = {rows<T>(to.u[i]),
                      rows<T>(to.delta[i]),
                      rows<T>(to.B[i]),
                      rows<T>(to.C[i]),
                      storage<float>(to.A[i]),
                      storage<float>(to.D[i]),
                      storage<float>(to.delta_bias[i])};
    }
    work.grad_z = rows<T>(to.z);
    work.out = rows<T>(to.out);
    const at::Tensor workspace = bytes(scan::cuda::workspace_bytes(work.in), grad_out);
    work.workspace = workspace.mutable_data_ptr();
    C10_CUDA_CHECK(scan::cuda::backward<T>(work, current_stream()));
  });
}

at::Tensor convolve(const ConvInputs& in) {
  const at::Tensor out = at::empty({2, in.x.size(0), in.x.size(1), in.x.size(2)}, in.x.options());
  with_storage_type(kConvolution, out.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    conv::cuda::forward<T>({arguments<T>(in), {rows<T>(out[0]), rows<T>(out[1])}},
                           current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

void conv_backward(const ConvInputs& in, const at::Tensor& grad_out, const ConvGradients& to) {
  const at::Tensor& x = in.x;
  const at::Tensor workspace =
      at::empty({conv::cuda::workspace_size(x.size(0), x.size(1), x.size(2), /*branches=*/2)},
                in.weight[0].options());
  with_storage_type(kConvolution, x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    conv::cuda::Backward<T> work{};
    work.in = arguments<T>(in);
    work.grad_x = rows<T>(to.x);
    work.workspace = storage<float>(workspace);
    for (int i = 0; i < 2; ++i) {
      work.grad[i] = rows<const T>(grad_out[i]);
      work.parameters[i] = {storage<float>(to.weight[i]), storage<float>(to.bias[i])};
    }
    conv::cuda::backward<T>(work, current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace vim::ops::both
