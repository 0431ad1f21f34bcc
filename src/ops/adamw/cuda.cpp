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

// Up to kMaxParameters of them, from the one at `first` on.
cuda::Parameters slice(const AdamWStep& s, const std::vector<at::Tensor>& gradients, size_t first) {
  cuda::Parameters list;
  const size_t count = std::min<size_t>(s.parameters.size() - first, cuda::kMaxParameters);
  list.count = static_cast<int>(count);
  list.first_chunk[0] = 0;
  for (size_t k = 0; k < count; ++k) {
    const size_t i = first + k;
    check_order(s, i);
    list.at[k] = {storage<float>(s.parameters[i]),
                  storage<float>(s.exp_avg[i]),
                  storage<float>(s.exp_avg_sq[i]),
                  s.averages.empty() ? nullptr : storage<float>(s.averages[i]),
                  storage<const float>(gradients[i]),
                  s.parameters[i].numel(),
                  static_cast<float>(s.lr_scale[i]),
                  static_cast<float>(s.weight_decay[i])};
    const int64_t chunks = cuda::chunks_of(s.parameters[i].numel());
    list.first_chunk[k + 1] = list.first_chunk[k] + static_cast<int>(chunks);
  }
  return list;
}

template <class T>
at::Tensor array_of(int64_t count, const at::Tensor& like) {
  return at::empty({count * static_cast<int64_t>(sizeof(T))}, like.options().dtype(at::kByte));
}

}  // namespace

at::Tensor step_on_cuda(const AdamWStep& s) {
  const c10::NoGradGuard no_grad;
  const c10::cuda::CUDAGuard guard(s.parameters[0].device());
  const cudaStream_t stream = current_stream();
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    gradients.push_back(in_order_of(s.parameters[i], s.gradients[i]));
  }
  const cuda::Settings settings{s.beta1,
                                s.beta2,
                                s.eps,
                                s.max_norm,
                                s.average_decay,
                                storage<const double>(s.lr),
                                storage<const float>(s.loss_scale),
                                storage<float>(s.overflow)};
  const bool needs_norm = s.max_norm > 0 || s.loss_scale.defined();
  int64_t chunks = 0;
  for (const at::Tensor& parameter : s.parameters) chunks += cuda::chunks_of(parameter.numel());
  const int64_t count = static_cast<int64_t>(s.parameters.size());
  const at::Tensor partials = array_of<cuda::Partial>(needs_norm ? chunks : 0, s.steps);
  const at::Tensor rates = array_of<cuda::Rates>(count, s.steps);
  const at::Tensor total = at::empty({3}, s.steps.options());  // a Total
  static_assert(sizeof(cuda::Total) == 3 * sizeof(float));

  const auto for_each_slice = [&](const auto& launch) {
    int64_t chunk = 0;
    for (size_t first = 0; first < s.parameters.size(); first += cuda::kMaxParameters) {
      const cuda::Parameters list = slice(s, gradients, first);
      C10_CUDA_CHECK(launch(list, static_cast<int64_t>(first), chunk));
      chunk += list.first_chunk[list.count];
    }
  };
  if (needs_norm) {
    for_each_slice([&](const cuda::Parameters& list, int64_t /*first*/, int64_t chunk) {
      return cuda::sum_squares(list, settings, storage<cuda::Partial>(partials) + chunk, stream);
    });
  }
  for_each_slice([&](const cuda::Parameters& list, int64_t first, int64_t /*chunk*/) {
    return cuda::finish(list, settings, storage<cuda::Partial>(partials), needs_norm ? chunks : 0,
                        storage<float>(s.steps) + first, storage<cuda::Rates>(rates) + first,
                        storage<cuda::Total>(total), stream);
  });
  for_each_slice([&](const cuda::Parameters& list, int64_t first, int64_t /*chunk*/) {
    return cuda::update(list, settings, storage<cuda::Rates>(rates) + first,
                        storage<cuda::Total>(total), stream);
  });
  return s.max_norm > 0 ? total[0] : at::Tensor();
}

}  // namespace vim::ops::adamw
