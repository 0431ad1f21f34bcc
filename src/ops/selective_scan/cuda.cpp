#include <ATen/Dispatch.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <torch/library.h>

#include "ops/cpu_support.h"
#include "ops/selective_scan/cuda_kernel.h"
#include "ops/selective_scan/op.h"

namespace vim::ops::scan {
namespace {

// The kernels' type for torch's.
template <class T>
struct OnDevice {
  using Type = T;
};
template <>
struct OnDevice<at::Half> {
  using Type = __half;
};
template <>
struct OnDevice<at::BFloat16> {
  using Type = __nv_bfloat16;
};

template <class T>
Rows<T> device_rows(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {static_cast<T*>(tensor.data_ptr()), tensor.stride(0), tensor.stride(1)};
}

// One direction's inputs in the layout of the kernels, and what keeps their memory.
struct Arguments {
  at::Tensor u, delta, A, B, C, z, D, delta_bias;
  bool delta_softplus, reverse;

  Arguments(const at::Tensor& u_, const at::Tensor& delta_, const at::Tensor& A_,
            const at::Tensor& B_, const at::Tensor& C_, const OptionalTensor& D_,
            const OptionalTensor& z_, const OptionalTensor& delta_bias_, bool softplus,
            bool reverse_)
      : u(with_contiguous_rows(u_)),
        delta(with_contiguous_rows(delta_)),
        A(A_.to(at::kFloat).contiguous()),
        B(with_contiguous_rows(B_)),
        C(with_contiguous_rows(C_)),
        delta_softplus(softplus),
        reverse(reverse_) {
    TORCH_CHECK(A.size(1) <= cuda::kMaxState, "selective_scan: at most ", cuda::kMaxState,
                " states on a GPU, got ", A.size(1));
    if (given(z_)) z = with_contiguous_rows(*z_);
    if (given(D_)) D = D_->to(at::kFloat).contiguous();
    if (given(delta_bias_)) delta_bias = delta_bias_->to(at::kFloat).contiguous();
  }

  template <class T>
  cuda::Inputs<T> inputs() const {
    const auto floats = [](const at::Tensor& tensor) {
      return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
    };
    cuda::Inputs<T> in{};
    in.batch = u.size(0), in.length = u.size(1), in.channels = u.size(2), in.state = A.size(1);
    in.directions = 1;
    in.direction[0] = {device_rows<const T>(u),
                       device_rows<const T>(delta),
                       device_rows<const T>(B),
                       device_rows<const T>(C),
                       floats(A),
                       floats(D),
                       floats(delta_bias),
                       reverse};
    in.z = device_rows<const T>(z);
    in.delta_softplus = delta_softplus;
    in.scale = 1;
    return in;
  }
};

void check(cudaError_t error) {
  TORCH_CHECK(error == cudaSuccess, "selective_scan: ", cudaGetErrorString(error),
              error == cudaErrorInvalidValue ? " (is a sample larger than 2 GB?)" : "");
}

at::Tensor bytes(int64_t size, const at::Tensor& like) {
  return at::empty({size}, like.options().dtype(at::kByte));
}

#define VIM_DISPATCH(TYPE, NAME, ...)                                            \
  AT_DISPATCH_SWITCH(TYPE, NAME,                                                 \
                     AT_DISPATCH_CASE(at::kFloat, __VA_ARGS__) AT_DISPATCH_CASE( \
                         at::kHalf, __VA_ARGS__) AT_DISPATCH_CASE(at::kBFloat16, __VA_ARGS__))

at::Tensor run_forward(const Arguments& args, at::Tensor* saved) {
  const c10::cuda::CUDAGuard guard(args.u.device());
  at::Tensor out = at::empty(args.u.sizes(), args.u.options());
  VIM_DISPATCH(args.u.scalar_type(), "selective_scan", [&] {
    using T = typename OnDevice<scalar_t>::Type;
    const cuda::Inputs<T> in = args.inputs<T>();
    if (saved != nullptr) *saved = bytes(cuda::saved_bytes(in), args.u);
    const cuda::Forward<T> work{in, device_rows<T>(out),
                                saved != nullptr ? saved->mutable_data_ptr() : nullptr};
    check(cuda::forward(work, at::cuda::getCurrentCUDAStream()));
  });
  return out;
}

at::Tensor forward(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                   const at::Tensor& B, const at::Tensor& C, const OptionalTensor& D,
                   const OptionalTensor& z, const OptionalTensor& delta_bias, bool delta_softplus,
                   bool reverse) {
  check_args(u, delta, A, B, C, D, z, delta_bias);
  return run_forward({u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse}, nullptr);
}

std::tuple<at::Tensor, at::Tensor> forward_keeping_states(
    const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A, const at::Tensor& B,
    const at::Tensor& C, const OptionalTensor& D, const OptionalTensor& z,
    const OptionalTensor& delta_bias, bool delta_softplus, bool reverse) {
  check_args(u, delta, A, B, C, D, z, delta_bias);
  at::Tensor saved;
  at::Tensor out =
      run_forward({u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse}, &saved);
  return {out, saved};
}

using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor,
                             at::Tensor, at::Tensor>;

Gradients backward(const at::Tensor& grad, const at::Tensor& saved, const at::Tensor& u,
                   const at::Tensor& delta, const at::Tensor& A, const at::Tensor& B,
                   const at::Tensor& C, const OptionalTensor& D, const OptionalTensor& z,
                   const OptionalTensor& delta_bias, bool delta_softplus, bool reverse) {
  const Arguments args(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse);
  const c10::cuda::CUDAGuard guard(u.device());
  const at::Tensor grad_out = with_contiguous_rows(grad);
  const auto like = [](const at::Tensor& tensor) {
    return tensor.defined() ? at::empty(tensor.sizes(), tensor.options()) : at::Tensor();
  };
  const at::Tensor grad_u = like(args.u), grad_delta = like(args.delta), grad_A = like(args.A);
  const at::Tensor grad_B = like(args.B), grad_C = like(args.C), grad_z = like(args.z);
  const at::Tensor grad_D = like(args.D), grad_bias = like(args.delta_bias);
  VIM_DISPATCH(u.scalar_type(), "selective_scan_backward", [&] {
    using T = typename OnDevice<scalar_t>::Type;
    const auto floats = [](const at::Tensor& tensor) {
      return tensor.defined() ? tensor.mutable_data_ptr<float>() : nullptr;
    };
    cuda::Backward<T> work{};
    work.in = args.inputs<T>();
    work.saved = saved.const_data_ptr();
    work.grad_out = device_rows<const T>(grad_out);
    work.grad[0] = {device_rows<T>(grad_u), device_rows<T>(grad_delta),
                    device_rows<T>(grad_B), device_rows<T>(grad_C),
                    floats(grad_A),         floats(grad_D),
                    floats(grad_bias)};
    work.grad_z = device_rows<T>(grad_z);
    const at::Tensor workspace = bytes(cuda::workspace_bytes(work.in), u);
    work.workspace = workspace.mutable_data_ptr();
    check(cuda::backward(work, at::cuda::getCurrentCUDAStream()));
  });
  const auto as = [](const at::Tensor& gradient, const OptionalTensor& of) {
    return gradient.defined() ? gradient.to(of->scalar_type()) : gradient;
  };
  return {grad_u, grad_delta,    as(grad_A, A), grad_B,
          grad_C, as(grad_D, D), grad_z,        as(grad_bias, delta_bias)};
}

}  // namespace

TORCH_LIBRARY_IMPL(vim, CUDA, m) {
  m.impl("selective_scan", forward);
  m.impl("_selective_scan_forward", forward_keeping_states);
  m.impl("_selective_scan_backward", backward);
}

}  // namespace vim::ops::scan
