#include "ops/both_directions/cuda.h"

#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/autograd.h"
#include "ops/both_directions/cuda_stages.h"

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

variable_list empty_like_all(at::TensorList tensors) {
  variable_list list;
  for (const at::Tensor& tensor : tensors) list.push_back(at::empty_like(tensor));
  return list;
}

enum { kU, kDelta, kA, kB, kC, kD, kZ, kBias, kScanTensors };

ScanInputs scan_inputs(at::TensorList t, double scale) {
  return {t[kU],         t[kDelta],        t[kB], t[kC], t[kZ], halves(t[kA]),
          halves(t[kD]), halves(t[kBias]), scale};
}

at::Tensor run_scans(at::TensorList tensors, double scale, at::Tensor* saved) {
  const c10::cuda::CUDAGuard guard(tensors[kU].device());
  at::Tensor out = at::empty_like(tensors[kZ]);
  scan_forward(scan_inputs(tensors, scale), out, saved);
  return out;
}

class Scans : public Function<Scans> {
 public:
  static at::Tensor forward(AutogradContext* context, at::TensorList tensors, double scale) {
    at::Tensor saved;
    at::Tensor out = run_scans(tensors, scale, &saved);
    variable_list keep(tensors.begin(), tensors.end());
    keep.push_back(saved);
    context->save_for_backward(std::move(keep));
    context->saved_data["scale"] = scale;
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list kept = context->get_saved_variables();
    const at::TensorList tensors = at::TensorList(kept).slice(0, kScanTensors);
    const c10::cuda::CUDAGuard guard(kept[kU].device());
    variable_list list = empty_like_all(tensors);
    scan_backward(scan_inputs(tensors, context->saved_data["scale"].toDouble()), kept.back(),
                  grads[0].contiguous(),
                  {list[kU], list[kDelta], list[kB], list[kC], list[kZ], halves(list[kA]),
                   halves(list[kD]), halves(list[kBias]), at::empty_like(kept[kZ])});
    list.emplace_back();  // scale
    return list;
  }
};

at::Tensor run_convolutions(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const c10::cuda::CUDAGuard guard(x.device());
  return convolve({x, halves(weight), halves(bias)});
}

class Convolutions : public Function<Convolutions> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight, bias});
    return run_convolutions(x, weight, bias);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list kept = context->get_saved_variables();
    const c10::cuda::CUDAGuard guard(kept[0].device());
    variable_list list = empty_like_all(kept);
    conv_backward({kept[0], halves(kept[1]), halves(kept[2])}, grads[0].contiguous(),
                  {list[0], halves(list[1]), halves(list[2])});
    return list;
  }
};

}  // namespace

at::Tensor cuda_scans(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                      const at::Tensor& B, const at::Tensor& C, const at::Tensor& D,
                      const at::Tensor& z, const at::Tensor& delta_bias, double scale) {
  const variable_list tensors = {u, delta, A, B, C, D, z, delta_bias};
  check_contiguous("both_scans", tensors);
  if (needs_graph(u, delta, A, B, C, D, z, delta_bias))
    return Scans::apply(at::TensorList(tensors), scale);
  return run_scans(tensors, scale, nullptr);
}

at::Tensor cuda_convolutions(const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& bias) {
  check_contiguous("both_convolutions", {x, weight, bias});
  if (needs_graph(x, weight, bias)) return Convolutions::apply(x, weight, bias);
  return run_convolutions(x, weight, bias);
}

}  // namespace vim::ops::both
