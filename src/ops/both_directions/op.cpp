#include <ATen/ATen.h>

#include "vim/ops/both_directions.h"
#include "vim/ops/ops.h"
#ifdef VIM_WITH_CUDA
#include "ops/both_directions/cuda.h"
#endif

namespace vim::ops {

at::Tensor both_scans(const at::Tensor& u, const at::Tensor& delta, const at::Tensor& A,
                      const at::Tensor& B, const at::Tensor& C, const at::Tensor& D,
                      const at::Tensor& z, const at::Tensor& delta_bias, double scale) {
#ifdef VIM_WITH_CUDA
  if (u.is_cuda()) return both::cuda_scans(u, delta, A, B, C, D, z, delta_bias, scale);
#endif
  const auto scan = [&](int64_t i) {
    return selective_scan(u[i], delta[i], A[i], B[i], C[i], D[i], z, delta_bias[i],
                          /*delta_softplus=*/true, /*reverse=*/i == 1);
  };
  return (scan(0) + scan(1)) * scale;
}

at::Tensor both_convolutions(const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& bias) {
#ifdef VIM_WITH_CUDA
  if (x.is_cuda()) return both::cuda_convolutions(x, weight, bias);
#endif
  const auto convolve = [&](int64_t i) {
    return causal_conv1d(x, weight[i], bias[i], /*silu=*/true, /*reverse=*/i == 1);
  };
  return at::stack({convolve(0), convolve(1)});
}

}  // namespace vim::ops
