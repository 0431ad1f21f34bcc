#include "ops/adamw/cuda.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "ops/adamw/cuda_kernel.h"
#include "ops/cuda_support.h"

namespace vim::ops::adamw {
namespace {

// The gradient in the memory order of its parameter.
at::Tensor in_order_of(const at::Tensor& parameter, const at::Tensor& gradient) {
  if (!gradient.defined() || gradient.strides() == parameter.strides()) return gradient;
  return at::empty_like(parameter).copy_(gradient);
}

void check_order(const AdamWStep& s, size_t i) {
  const at::Tensor& parameter = s.parameters[i];
  TORCH_CHECK(parameter.scalar_type() == at::kFloat, "adamw_step: on a GPU it takes float32");
  TORCH_CHECK(parameter.is_non_overlapping_and_dense() &&
                  s.exp_avg[i].strides() == parameter.strides() &&
                  s.exp_avg_sq[i].strides() == parameter.strides() &&
                  (s.averages.empty() || s.averages[i].strides() == parameter.strides()),
              "adamw_step: tensors of parameter ", i, " are not dense in one order");
}

// Lists of at most kMax of `count` tensors, one after the other; call(list, first tensor, first
// chunk) has them in turn. `describe` gives the tensor of a number.
template <class L, size_t kMax, class Describe, class Call>
int64_t for_each_list(size_t count, const Describe& describe, const Call& call) {
  int64_t chunk = 0;
  for (size_t first = 0; first < count; first += kMax) {
    L list;
    list.count = static_cast<int>(std::min(count - first, kMax));
    list.first_chunk[0] = 0;
    for (int k = 0; k < list.count; ++k) {
      list.at[k] = describe(first + static_cast<size_t>(k));
      list.first_chunk[k + 1] =
          list.first_chunk[k] + static_cast<int>(cuda::chunks_of(list.at[k].size));
    }
    C10_CUDA_CHECK(call(list, static_cast<int64_t>(first), chunk));
    chunk += list.first_chunk[list.count];
  }
  return chunk;
}

template <class T>
at::Tensor array_of(int64_t count, const at::Tensor& like) {
  return at::empty({count * static_cast<int64_t>(sizeof(T))}, like.options().dtype(at::kByte));
}

}  // namespace

at::Tensor norm_on_cuda(const std::vector<at::Tensor>& gradients, const at::Tensor& loss_scale,
                        const at::Tensor& overflow) {
  const c10::NoGradGuard no_grad;
  const c10::cuda::CUDAGuard guard(gradients[0].device());
  const cudaStream_t stream = current_stream();
  std::vector<at::Tensor> dense;
  int64_t chunks = 0;
  for (const at::Tensor& gradient : gradients) {
    TORCH_CHECK(gradient.scalar_type() == at::kFloat, "gradient_norm: on a GPU it takes float32");
    const bool is_dense = gradient.is_non_overlapping_and_dense();
    dense.push_back(is_dense ? gradient : gradient.contiguous());
    chunks += cuda::chunks_of(gradient.numel());
  }
  const at::Tensor partials = array_of<cuda::Partial>(chunks, gradients[0]);
  const at::Tensor norm = at::empty({}, gradients[0].options());
  for_each_list<cuda::Gradients, cuda::kMaxGradients>(
      dense.size(),
      [&](size_t i) {
        return cuda::Gradient{storage<const float>(dense[i]), dense[i].numel()};
      },
      [&](const cuda::Gradients& list, int64_t /*first*/, int64_t chunk) {
        return cuda::sum_squares(list, storage<cuda::Partial>(partials) + chunk, stream);
      });
  C10_CUDA_CHECK(cuda::finish_norm(storage<cuda::Partial>(partials), chunks,
                                   storage<const float>(loss_scale), storage<float>(norm),
                                   storage<float>(overflow), stream));
  return norm;
}

void step_on_cuda(const AdamWStep& s) {
  const c10::NoGradGuard no_grad;
  const c10::cuda::CUDAGuard guard(s.parameters[0].device());
  const cudaStream_t stream = current_stream();
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    check_order(s, i);
    gradients.push_back(in_order_of(s.parameters[i], s.gradients[i]));
  }
  const cuda::Settings settings{s.beta1,
                                s.beta2,
                                s.eps,
                                s.max_norm,
                                s.average_decay,
                                storage<const double>(s.lr),
                                storage<const float>(s.norm),
                                storage<const float>(s.loss_scale),
                                storage<const float>(s.skip)};
  // That of an empty parameter has no address, but the parameter has a step.
  const auto gradient_of = [&](size_t i) -> const float* {
    if (gradients[i].defined() && gradients[i].numel() == 0) return storage<const float>(s.steps);
    return storage<const float>(gradients[i]);
  };
  const auto describe = [&](size_t i) {
    return cuda::Parameter{storage<float>(s.parameters[i]),
                           storage<float>(s.exp_avg[i]),
                           storage<float>(s.exp_avg_sq[i]),
                           s.averages.empty() ? nullptr : storage<float>(s.averages[i]),
                           gradient_of(i),
                           s.parameters[i].numel(),
                           static_cast<float>(s.lr_scale[i]),
                           static_cast<float>(s.weight_decay[i])};
  };
  const at::Tensor rates =
      array_of<cuda::Rates>(static_cast<int64_t>(s.parameters.size()), s.steps);
  for_each_list<cuda::Parameters, cuda::kMaxParameters>(
      s.parameters.size(), describe,
      [&](const cuda::Parameters& list, int64_t first, int64_t /*chunk*/) {
        cuda::Rates* const of_list = storage<cuda::Rates>(rates) + first;
        const cudaError_t error =
            cuda::prepare(list, settings, storage<float>(s.steps) + first, of_list, stream);
        return error != cudaSuccess ? error : cuda::update(list, settings, of_list, stream);
      });
}

}  // namespace vim::ops::adamw
