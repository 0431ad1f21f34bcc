#include "ops/both_directions/cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/autograd.h"
#include "ops/causal_conv1d/cuda_kernel.h"
#include "ops/cuda_support.h"
#include "ops/selective_scan/cuda_kernel.h"

namespace vim::ops::both {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

void check_contiguous(const char* op, at::TensorList tensors) {
  for (const at::Tensor& tensor : tensors) {
    TORCH_CHECK(tensor.is_contiguous(), op, ": its tensors must be contiguous");
  }
}

at::Tensor bytes(int64_t size, const at::Tensor& like) {
  return at::empty({size}, like.options().dtype(at::kByte));
}

// --- The scan ----------------------------------------------------------------------------------

constexpr const char* kScan = "both_scans";

enum { kU, kDelta, kA, kB, kC, kD, kZ, kBias };  // of its tensors

template <class T>
Rows<T> rows(const at::Tensor& tensor) {
  return rows_of<T>(tensor, /*reverse=*/false);
}

template <class T>
scan::cuda::Inputs<T> scan_inputs(at::TensorList t, double scale) {
  scan::cuda::Inputs<T> in{};
  in.batch = t[kZ].size(0), in.length = t[kZ].size(1), in.channels = t[kZ].size(2);
  in.state = t[kA].size(2);
  in.directions = 2;
  for (int i = 0; i < 2; ++i) {
    in.direction[i] = {rows<const T>(t[kU][i]),
                       rows<const T>(t[kDelta][i]),
                       rows<const T>(t[kB][i]),
                       rows<const T>(t[kC][i]),
                       storage<const float>(t[kA][i]),
                       storage<const float>(t[kD][i]),
                       storage<const float>(t[kBias][i]),
                       /*reverse=*/i == 1};
  }
  in.z = rows<const T>(t[kZ]);
  in.delta_softplus = true;
  in.scale = static_cast<float>(scale);
  return in;
}

at::Tensor scan_forward(at::TensorList t, double scale, at::Tensor* saved) {
  const c10::cuda::CUDAGuard guard(t[kU].device());
  at::Tensor out = at::empty_like(t[kZ]);
  with_storage_type(kScan, out.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    const auto in = scan_inputs<T>(t, scale);
    if (saved != nullptr) *saved = bytes(scan::cuda::saved_bytes(in), out);
    C10_CUDA_CHECK(scan::cuda::forward<T>(
        {in, rows<T>(out), saved != nullptr ? saved->mutable_data_ptr() : nullptr},
        current_stream()));
  });
  return out;
}

variable_list scan_backward(at::TensorList t, double scale, const at::Tensor& saved,
                            const at::Tensor& grad_out) {
  const c10::cuda::CUDAGuard guard(t[kU].device());
  variable_list grads;
  for (const at::Tensor& tensor : t) grads.push_back(at::empty_like(tensor));
  const at::Tensor again = at::empty_like(grad_out);
  with_storage_type(kScan, grad_out.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    scan::cuda::Backward<T> work{};
    work.in = scan_inputs<T>(t, scale);
    work.saved = saved.const_data_ptr();
    work.grad_out = rows<const T>(grad_out);
    for (int i = 0; i < 2; ++i) {
      work.grad[i] = {rows<T>(grads[kU][i]),          rows<T>(grads[kDelta][i]),
                      rows<T>(grads[kB][i]),          rows<T>(grads[kC][i]),
                      storage<float>(grads[kA][i]),   storage<float>(grads[kD][i]),
                      storage<float>(grads[kBias][i])};
    }
    work.grad_z = rows<T>(grads[kZ]);
    work.out = rows<T>(again);
    const at::Tensor workspace = bytes(scan::cuda::workspace_bytes(work.in), grad_out);
    work.workspace = workspace.mutable_data_ptr();
    C10_CUDA_CHECK(scan::cuda::backward<T>(work, current_stream()));
  });
  return grads;
}

class Scans : public Function<Scans> {
 public:
  static at::Tensor forward(AutogradContext* context, at::TensorList tensors, double scale) {
    at::Tensor saved;
    at::Tensor out = scan_forward(tensors, scale, &saved);
    variable_list keep(tensors.begin(), tensors.end());
    keep.push_back(saved);
    context->save_for_backward(std::move(keep));
    context->saved_data["scale"] = scale;
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list kept = context->get_saved_variables();
    variable_list list =
        scan_backward(at::TensorList(kept).slice(0, kBias + 1),
                      context->saved_data["scale"].toDouble(), kept.back(), grads[0].contiguous());
    list.emplace_back();  // scale
    return list;
  }
};

// --- The convolution ---------------------------------------------------------------------------

constexpr const char* kConvolution = "both_convolutions";

template <class T>
conv::cuda::Inputs<T> conv_inputs(const at::Tensor& x, const at::Tensor& weight,
                                  const at::Tensor& bias) {
  conv::cuda::Inputs<T> in{};
  in.batch = x.size(0), in.length = x.size(1), in.channels = x.size(2);
  in.taps = static_cast<int>(weight.size(2));
  in.silu = true;
  in.branches = 2;
  in.x = rows<const T>(x);
  for (int i = 0; i < 2; ++i) {
    in.parameters[i] = {storage<const float>(weight[i]), storage<const float>(bias[i])};
  }
  return in;
}

at::Tensor conv_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const c10::cuda::CUDAGuard guard(x.device());
  at::Tensor out = at::empty({2, x.size(0), x.size(1), x.size(2)}, x.options());
  with_storage_type(kConvolution, x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    conv::cuda::forward<T>({conv_inputs<T>(x, weight, bias), {rows<T>(out[0]), rows<T>(out[1])}},
                           current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

variable_list conv_backward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& grad) {
  const c10::cuda::CUDAGuard guard(x.device());
  variable_list grads = {at::empty_like(x), at::empty_like(weight), at::empty_like(bias)};
  const at::Tensor workspace =
      at::empty({conv::cuda::workspace_size(x.size(0), x.size(1), x.size(2), /*branches=*/2)},
                weight.options());
  with_storage_type(kConvolution, x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    conv::cuda::Backward<T> work{};
    work.in = conv_inputs<T>(x, weight, bias);
    work.grad_x = rows<T>(grads[0]);
    work.workspace = storage<float>(workspace);
    for (int i = 0; i < 2; ++i) {
      work.grad[i] = rows<const T>(grad[i]);
      work.parameters[i] = {storage<float>(grads[1][i]), storage<float>(grads[2][i])};
    }
    conv::cuda::backward<T>(work, current_stream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return grads;
}

class Convolutions : public Function<Convolutions> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight, bias});
    return conv_forward(x, weight, bias);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list kept = context->get_saved_variables();
    return conv_backward(kept[0], kept[1], kept[2], grads[0].contiguous());
  }
};

}  // namespace

at::Tensor cuda_scans(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                      const at::Tensor& B, const at::Tensor& C, const at::Tensor& D,
                      const at::Tensor& z, const at::Tensor& delta_bias, double scale) {
  const variable_list tensors = {u, delta, A, B, C, D, z, delta_bias};
  check_contiguous(kScan, tensors);
  if (needs_graph(u, delta, A, B, C, D, z, delta_bias))
    return Scans::apply(at::TensorList(tensors), scale);
  return scan_forward(tensors, scale, nullptr);
}

at::Tensor cuda_convolutions(const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& bias) {
  check_contiguous(kConvolution, {x, weight, bias});
  if (needs_graph(x, weight, bias)) return Convolutions::apply(x, weight, bias);
  return conv_forward(x, weight, bias);
}

}  // namespace vim::ops::both
