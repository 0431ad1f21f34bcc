#include "ops/bidirectional_mixer/projections.h"

#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>

#include "ops/cuda_support.h"

namespace vim::ops::mixer {
namespace {

using cuda::ProjectionShape;

// Calls work(T{}) where the kernels take the type and the shape; whether it did.
template <class Work>
bool with_kernels(const ProjectionShape& shape, at::ScalarType dtype, const Work& work) {
  if ((dtype != at::kHalf && dtype != at::kBFloat16) || !cuda::fits(shape)) return false;
  dtype == at::kHalf ? work(__half{}) : work(__nv_bfloat16{});
  return true;
}

at::Tensor steps_of(const ProjectionShape& shape, const at::Tensor& x) {
  return x.narrow(2, 2 * shape.state, shape.step_width);
}

template <class T>
cuda::ProjectionGradients<T> gradients_of(const ProjectionShape& shape,
                                          const ProjectionBackward& work,
                                          const ProjectionWeights (&to)[2],
                                          const at::Tensor& workspace) {
  cuda::ProjectionGradients<T> kernels{shape, {}, storage<float>(workspace)};
  for (int d = 0; d < 2; ++d) {
    // The parameter has the rows of the step first.
    float* const grad_x_proj = storage<float>(to[d].x_proj);
    kernels.direction[d] = {storage<const T>(work.x[d]),
                            storage<const T>(work.u[d]),
                            storage<const T>(work.x_proj[d]),
                            storage<const T>(work.dt_proj[d]),
                            storage<const T>(work.grad_delta[d]),
                            storage<T>(work.grad_x[d]),
                            storage<T>(work.grad_u[d]),
                            {grad_x_proj + int64_t{shape.rank} * shape.channels, grad_x_proj},
                            storage<float>(to[d].dt_proj)};
  }
  return kernels;
}

void gradients_by_cublas(const ProjectionShape& shape, const ProjectionBackward& work,
                         const ProjectionWeights (&to)[2]) {
  at::Tensor grad_steps = steps_of(shape, work.grad_x);
  at::bmm_out(grad_steps, work.grad_delta, work.dt_proj);
  at::Tensor grad_u = work.grad_u;
  grad_u.baddbmm_(work.grad_x, work.x_proj);
  const at::Tensor grad_dt_proj = float_product(work.grad_delta, steps_of(shape, work.x));
  const at::Tensor grad_x_proj = float_product(work.grad_x, work.u);
  for (int d = 0; d < 2; ++d) {
    to[d].dt_proj.copy_(grad_dt_proj[d].narrow(1, 0, shape.rank));
    to[d]
        .x_proj.narrow(0, 0, shape.rank)
        .copy_(grad_x_proj[d].narrow(0, 2 * shape.state, shape.rank));
    to[d]
        .x_proj.narrow(0, shape.rank, 2 * shape.state)
        .copy_(grad_x_proj[d].narrow(0, 0, 2 * shape.state));
  }
}

// a^T b [stack, columns, columns] in float. cuBLAS gives a block to some of the results and a sum
// to a block, which for a few results leaves the GPU empty: groups of tokens have sums of their
// own.
at::Tensor product_of_groups(const at::Tensor& a, const at::Tensor& b) {
  constexpr int64_t kSums = int64_t{1} << 21;  // of all groups: blocks enough, and cheap to add up
  const int64_t tokens = a.size(1), results = a.size(0) * a.size(2) * b.size(2);
  int64_t groups = std::clamp<int64_t>(kSums / results, 1, std::max<int64_t>(tokens, 1));
  while (tokens % groups != 0) --groups;
  const auto grouped = [&](const at::Tensor& of) {
    return of.unflatten(1, {groups, tokens / groups}).flatten(0, 1);
  };
  return at::bmm(grouped(a).transpose(1, 2), grouped(b)).unflatten(0, {-1, groups}).sum(1);
}

}  // namespace

at::Tensor expand_steps(const ProjectionShape& shape, const at::Tensor& x,
                        const at::Tensor& dt_proj) {
  at::Tensor delta;
  const bool done = with_kernels(shape, x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    delta = at::empty({2, shape.tokens, shape.channels}, x.options());
    cuda::Expansion<T> work{shape, {}};
    for (int d = 0; d < 2; ++d) {
      work.direction[d] = {storage<const T>(x[d]), storage<const T>(dt_proj[d]),
                           storage<T>(delta[d])};
    }
    C10_CUDA_CHECK(cuda::expand_steps(work, current_stream()));
  });
  return done ? delta : at::bmm(steps_of(shape, x), dt_proj.transpose(1, 2));
}

void projection_gradients(const ProjectionShape& shape, const ProjectionBackward& work,
                          const ProjectionWeights (&to)[2]) {
  const bool done = with_kernels(shape, work.u.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    const at::Tensor workspace = at::empty({cuda::workspace_floats(shape)}, to[0].x_proj.options());
    C10_CUDA_CHECK(
        cuda::projection_gradients(gradients_of<T>(shape, work, to, workspace), current_stream()));
  });
  if (!done) gradients_by_cublas(shape, work, to);
}

at::Tensor float_product(const at::Tensor& a, const at::Tensor& b) {
  const bool stacked = a.dim() == 3;
  if (a.scalar_type() == at::kFloat) {
    return stacked ? product_of_groups(a, b)
                   : product_of_groups(a.unsqueeze(0), b.unsqueeze(0)).squeeze(0);
  }
  const at::Tensor left = a.transpose(-2, -1);
  return stacked ? at::bmm(left, b, at::kFloat) : at::mm(left, b, at::kFloat);
}

}  // namespace vim::ops::mixer
