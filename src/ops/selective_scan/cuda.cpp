#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "ops/cuda_support.h"
#include "ops/selective_scan/cuda_kernel.h"
#include "ops/selective_scan/op.h"

namespace vim::ops::scan {
namespace {

constexpr const char* kOp = "selective_scan";

template <class T>
Rows<T> rows(const at::Tensor& tensor) {
  return tensor.defined() ? rows_of<T>(tensor, /*reverse=*/false) : Rows<T>{};
}

// One direction's inputs in the layout of the kernels.
template <class T>
cuda::Inputs<T> inputs(const Arguments& args) {
  cuda::Inputs<T> in{};
  in.batch = args.u.size(0), in.length = args.u.size(1), in.channels = args.u.size(2);
  in.state = args.A.size(1);
  in.directions = 1;
  in.direction[0] = {rows<const T>(args.u),
                     rows<const T>(args.delta),
                     rows<const T>(args.B),
                     rows<const T>(args.C),
                     storage<const float>(args.A),
                     storage<const float>(args.D),
                     storage<const float>(args.delta_bias),
                     args.reverse};
  in.z = rows<const T>(args.z);
  in.delta_softplus = args.delta_softplus;
  in.scale = 1;
  return in;
}

void check(cudaError_t error) {
  TORCH_CHECK(error == cudaSuccess, kOp, ": ", cudaGetErrorString(error),
              error == cudaErrorInvalidValue ? " (is a sample larger than 2 GB?)" : "");
}

at::Tensor bytes(int64_t size, const at::Tensor& like) {
  return at::empty({size}, like.options().dtype(at::kByte));
}

Pair forward(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A, const at::Tensor& B,
             const at::Tensor& C, const OptionalTensor& D, const OptionalTensor& z,
             const OptionalTensor& delta_bias, bool delta_softplus, bool reverse,
             bool keep_states) {
  TORCH_CHECK(A.size(1) <= cuda::kMaxState, kOp, ": at most ", cuda::kMaxState,
              " states on a GPU, got ", A.size(1));
  const Arguments args(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse);
  const c10::cuda::CUDAGuard guard(u.device());
  at::Tensor out = at::empty(u.sizes(), u.options());
  at::Tensor saved;
  with_storage_type(kOp, u.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    const auto in = inputs<T>(args);
    saved = bytes(keep_states ? cuda::saved_bytes(in) : 0, u);
    check(cuda::forward<T>({in, rows<T>(out), keep_states ? saved.mutable_data_ptr() : nullptr},
                           current_stream()));
  });
  return {out, saved};
}

Gradients backward(const at::Tensor& grad, const at::Tensor& saved, const at::Tensor& u,
                   const at::Tensor& delta, const at::Tensor& A, const at::Tensor& B,
                   const at::Tensor& C, const OptionalTensor& D, const OptionalTensor& z,
                   const OptionalTensor& delta_bias, bool delta_softplus, bool reverse) {
  const Arguments args(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse);
  const c10::cuda::CUDAGuard guard(u.device());
  const at::Tensor grad_out = with_contiguous_rows(grad);
  // Of no work, the kernels write nothing.
  const bool empty = u.numel() == 0;
  const auto like = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return at::Tensor();
    return empty ? at::zeros(tensor.sizes(), tensor.options())
                 : at::empty(tensor.sizes(), tensor.options());
  };
  const at::Tensor grad_u = like(args.u), grad_delta = like(args.delta), grad_A = like(args.A);
  const at::Tensor grad_B = like(args.B), grad_C = like(args.C), grad_z = like(args.z);
  const at::Tensor grad_D = like(args.D), grad_bias = like(args.delta_bias);
  with_storage_type(kOp, u.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    cuda::Backward<T> work{};
    work.in = inputs<T>(args);
    work.saved = saved.const_data_ptr();
    work.grad_out = rows<const T>(grad_out);
    work.grad[0] = {rows<T>(grad_u),          rows<T>(grad_delta),    rows<T>(grad_B),
                    rows<T>(grad_C),          storage<float>(grad_A), storage<float>(grad_D),
                    storage<float>(grad_bias)};
    work.grad_z = rows<T>(grad_z);
    const at::Tensor workspace = bytes(cuda::workspace_bytes(work.in), u);
    work.workspace = workspace.mutable_data_ptr();
    check(cuda::backward(work, current_stream()));
  });
  return {grad_u, grad_delta, grad_A, grad_B, grad_C, grad_D, grad_z, grad_bias};
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, CUDA, m) {
  m.impl("_selective_scan_forward", forward);
  m.impl("_selective_scan_backward", backward);
}

}  // namespace vim::ops::scan
