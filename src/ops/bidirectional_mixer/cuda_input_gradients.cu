// The gradient of x_proj: grad_x^T u, a sum over all tokens of products of a narrow row (`width`,
// up to 64) and a wide one.
//
// A block owns kChannels channels of a direction and a run of tokens, kTokens of which are a stage:
// their u and grad_x in shared memory, kStages stages in a ring (24 kB each), the next ones on
// their way while one is used. Each of 8 warps has 32 channels by 32 columns of the result in
// registers as 16 x 8 tiles of mma with float sums; both operands are read transposed
// (ldmatrix.trans), as tokens are what is summed over. Padding beyond `width` is skipped by halves
// of a warp's columns. At the end a block leaves its sums in the workspace,
// [run][direction][column][channel], for the kernel that adds up the runs in their order.
//
// u is read once and grad_x once for every kChannels channels; bound by memory bandwidth, and by
// the few microseconds that it takes to start and to end.
#include "ops/cuda_matrix.cuh"
#include "ops/bidirectional_mixer/cuda_projections.cuh"
#include "ops/shared_memory.h"

namespace vim::ops::mixer::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTokens = 64;
constexpr int kStages = 4;
constexpr int kChannels = 128;
constexpr int kColumns = kMaxWidth;

using Wide = Swizzled<kChannels>;
using Narrow = Swizzled<kColumns>;
constexpr int kNarrowAt = kTokens * Wide::kPitch;
constexpr int kStageBytes = kNarrowAt + kTokens * Narrow::kPitch;

// Of a warp: 2 x 16 channels by 4 x 8 columns.
struct Sums {
  float values[2][4][4] = {};
  int channel, column;  // the first ones

  __device__ explicit Sums(int warp) : channel(warp / 2 * 32), column(warp % 2 * 32) {}

  // Adds a stage, of which `at` is the address.
  template <class T>
  __device__ void add(uint32_t at, int width, T type) {
    const int row = threadIdx.x % 8, quarter = threadIdx.x % 32 / 8;
#pragma unroll
    for (int k = 0; k < kTokens; k += 16) {
      uint32_t a[2][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        load_matrices_transposed(
            a[i], at + Wide::place(k + quarter / 2 * 8 + row, channel / 8 + i * 2 + quarter % 2));
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        if (column + j * 16 >= width) break;
        uint32_t b[4];
        load_matrices_transposed(
            b, at + kNarrowAt +
                   Narrow::place(k + quarter % 2 * 8 + row, column / 8 + j * 2 + quarter / 2));
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          multiply(values[i][j * 2], a[i], b[0], b[1], type);
          multiply(values[i][j * 2 + 1], a[i], b[2], b[3], type);
        }
      }
    }
  }

  // To [rows, channels], the first of the block's channels being `first_channel`.
  __device__ void store(float* to, int rows, int channels, int first_channel) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          const int c = first_channel + channel + i * 16 + lane / 4 + n / 2 * 8;
          const int row = column + j * 8 + lane % 4 * 2 + n % 2;
          if (c < channels && row < rows) to[row * channels + c] = values[i][j][n];
        }
      }
    }
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    part_kernel(const __grid_constant__ ProjectionGradients<T> work, float* workspace,
                int stages_of_block) {
  extern __shared__ uint4 shared[];
  const uint32_t memory = shared_address(shared);
  const ProjectionShape& shape = work.shape;
  const int width = shape.width(), first_channel = blockIdx.x * kChannels;
  const int64_t first_token = int64_t{blockIdx.z} * stages_of_block * kTokens;
  int64_t left = min(int64_t{stages_of_block} * kTokens, shape.tokens - first_token);
  const int stages = static_cast<int>((left + kTokens - 1) / kTokens);
  const auto& direction = work.direction[blockIdx.y];
  const T* wide = direction.u + first_token * shape.channels + first_channel;
  const T* narrow = direction.grad_x + first_token * width;
  const auto load = [&](int slot) {
    if (left > 0) {
      const uint32_t to = memory + slot * kStageBytes;
      copy_rows<Wide, kThreads, kTokens, kChannels>(to, wide, shape.channels, left,
                                                    shape.channels - first_channel);
      copy_rows<Narrow, kThreads, kTokens, kColumns>(to + kNarrowAt, narrow, width, left, width);
      wide += kTokens * shape.channels, narrow += kTokens * width, left -= kTokens;
    }
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) load(i);
  Sums sums(threadIdx.x / 32);
  for (int stage = 0; stage < stages; ++stage) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    load((stage + kStages - 1) % kStages);
    sums.add(memory + stage % kStages * kStageBytes, width, T());
  }
  const int rows = 2 * shape.state + shape.rank;
  float* const part = workspace + (int64_t{blockIdx.z} * 2 + blockIdx.y) * rows * shape.channels;
  sums.store(part, rows, shape.channels, first_channel);
}

int slabs_of(const ProjectionShape& shape) {
  return (shape.channels + kChannels - 1) / kChannels;
}

Cut cut_of(const ProjectionShape& shape, int processors) {
  return cut_evenly((shape.tokens + kTokens - 1) / kTokens, processors / (2 * slabs_of(shape)));
}

int64_t part_floats(const ProjectionShape& shape) {
  return int64_t{2 * shape.state + shape.rank} * shape.channels;
}

}  // namespace

int input_shared_bytes() {
  return kStages * kStageBytes;
}

int64_t input_workspace(const ProjectionShape& shape, int processors) {
  return 2 * cut_of(shape, processors).blocks * part_floats(shape);
}

template <class T>
cudaError_t input_gradients(const ProjectionGradients<T>& work, float* workspace, int processors,
                            PartialSums (&sums)[2], cudaStream_t stream) {
  const ProjectionShape& shape = work.shape;
  const Cut cut = cut_of(shape, processors);
  const int64_t floats = part_floats(shape);
  for (int d = 0; d < 2; ++d) {
    sums[d] = partial_sums(workspace, d, cut.blocks, floats, work.direction[d].grad_x_proj,
                           2 * shape.state * shape.channels);
  }
  if (cut.blocks == 0) return cudaSuccess;
  const int bytes = input_shared_bytes();
  const cudaError_t error = allow_shared_memory(part_kernel<T>, bytes);
  if (error != cudaSuccess) return error;
  const dim3 grid(slabs_of(shape), 2, cut.blocks);
  part_kernel<T><<<grid, kThreads, bytes, stream>>>(work, workspace, cut.each);
  return cudaGetLastError();
}

template cudaError_t input_gradients(const ProjectionGradients<__half>&, float*, int,
                                     PartialSums (&)[2], cudaStream_t);
template cudaError_t input_gradients(const ProjectionGradients<__nv_bfloat16>&, float*, int,
                                     PartialSums (&)[2], cudaStream_t);

}  // namespace vim::ops::mixer::cuda
