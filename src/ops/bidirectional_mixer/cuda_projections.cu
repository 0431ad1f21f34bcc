// The launches of the projections' products, and the last step of their weights' gradients: partial
// sums that blocks have left, added up in their order. A block adds kSumColumns columns; a warp has
// every kSumWarps-th row of them, four columns a lane, and the warps meet in shared memory. What is
// read are a few megabytes that are in the L2 cache still; it is bound by latency.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "ops/bidirectional_mixer/cuda_projections.cuh"

namespace vim::ops::mixer::cuda {
namespace {

constexpr int kSumWarps = 8;
constexpr int kSumColumns = 128;
constexpr int kTables = 4;

struct Tables {
  PartialSums table[kTables];
  int first_block[kTables + 1];
};

__device__ void add(float4& sum, const float4& more) {
  sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
}

__global__ void __launch_bounds__(32 * kSumWarps)
    sum_kernel(const __grid_constant__ Tables tables) {
  __shared__ float4 sums[kSumWarps][32];
  int number = 0;
  while (static_cast<int>(blockIdx.x) >= tables.first_block[number + 1]) ++number;
  const PartialSums& table = tables.table[number];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int column = (blockIdx.x - tables.first_block[number]) * kSumColumns + lane * 4;
  float4 sum = make_float4(0, 0, 0, 0);
  if (column < table.columns) {
#pragma unroll 8
    for (int row = warp; row < table.rows; row += kSumWarps) {
      add(sum, *reinterpret_cast<const float4*>(table.parts + row * table.stride + column));
    }
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || column >= table.columns) return;
#pragma unroll
  for (int i = 1; i < kSumWarps; ++i) add(sum, sums[i][lane]);
  float* const to =
      column < table.first ? table.to[0] + column : table.to[1] + column - table.first;
  *reinterpret_cast<float4*>(to) = sum;
}

cudaError_t add_up(Tables& tables, cudaStream_t stream) {
  for (int i = 0; i < kTables; ++i) {
    tables.first_block[i + 1] =
        tables.first_block[i] + (tables.table[i].columns + kSumColumns - 1) / kSumColumns;
  }
  if (tables.first_block[kTables] == 0) return cudaSuccess;
  sum_kernel<<<tables.first_block[kTables], 32 * kSumWarps, 0, stream>>>(tables);
  return cudaGetLastError();
}

}  // namespace

bool fits(const ProjectionShape& shape) {
  int device = 0, shared = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) !=
          cudaSuccess) {
    return false;
  }
  if (shape.channels > kMaxChannels || shape.channels % 8 != 0 || shape.width() > kMaxWidth ||
      shape.state % 4 != 0 || shape.step_width > kMaxStepWidth || shape.step_width % 8 != 0) {
    return false;
  }
  return shared >= std::max({step_shared_bytes(shape), input_shared_bytes(),
                             product_shared_bytes(shape.width())});
}

int64_t workspace_floats(const ProjectionShape& shape) {
  int processors = 0;
  if (processors_of_device(processors) != cudaSuccess) return 0;
  return step_workspace(shape, processors) + input_workspace(shape, processors);
}

template <class T>
cudaError_t expand_steps(const Expansion<T>& work, cudaStream_t stream) {
  const ProjectionShape& shape = work.shape;
  int processors = 0;
  const cudaError_t error = processors_of_device(processors);
  if (error != cudaSuccess) return error;
  Product<T> narrow{shape.tokens, shape.step_width, shape.channels, shape.width(), {}};
  for (int d = 0; d < 2; ++d) {
    const auto& direction = work.direction[d];
    narrow.direction[d] = {direction.x + 2 * shape.state, direction.dt_proj, direction.delta};
  }
  return product(narrow, processors, stream);
}

template <class T>
cudaError_t projection_gradients(const ProjectionGradients<T>& work, cudaStream_t stream) {
  const ProjectionShape& shape = work.shape;
  int processors = 0;
  cudaError_t error = processors_of_device(processors);
  if (error != cudaSuccess) return error;
  Tables tables = {};
  PartialSums steps[2], inputs[2];
  error = step_gradients(work, work.workspace, processors, steps, stream);
  if (error != cudaSuccess) return error;
  error = input_gradients(work, work.workspace + step_workspace(shape, processors), processors,
                          inputs, stream);
  if (error != cudaSuccess) return error;
  Product<T> narrow{shape.tokens, shape.width(), shape.channels, shape.width(), {}};
  for (int d = 0; d < 2; ++d) {
    const auto& direction = work.direction[d];
    narrow.direction[d] = {direction.grad_x, direction.x_proj, direction.grad_u};
    tables.table[d] = steps[d];
    tables.table[2 + d] = inputs[d];
  }
  error = add_product(narrow, processors, stream);
  return error == cudaSuccess ? add_up(tables, stream) : error;
}

template cudaError_t expand_steps(const Expansion<__half>&, cudaStream_t);
template cudaError_t expand_steps(const Expansion<__nv_bfloat16>&, cudaStream_t);
template cudaError_t projection_gradients(const ProjectionGradients<__half>&, cudaStream_t);
template cudaError_t projection_gradients(const ProjectionGradients<__nv_bfloat16>&, cudaStream_t);

}  // namespace vim::ops::mixer::cuda
