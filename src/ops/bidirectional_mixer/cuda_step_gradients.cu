// The gradients of delta = steps dt_proj^T in one pass over that of delta: grad_steps = grad_delta
// dt_proj, a sum over channels, and grad_dt_proj = grad_delta^T steps, a sum over tokens.
//
// A block owns a run of tokens of a direction, kTokens at a time (a tile), with all of their
// channels, kChannels at a time (a stage). Stages come through a ring in shared memory (16 kB of
// grad_delta and the tile's steps each), the next ones on their way while one is used; dt_proj
// stays there throughout. Of each stage the 8 warps compute, by 16 x 8 tiles of mma with float
// sums,
//   grad_steps:   a warp has 16 tokens and half of the channels; the two warps of the same tokens
//                 meet in shared memory at the end of a tile, and one stores them;
//   grad_dt_proj: a warp has 16 channels (grad_delta is read transposed); the sums of all stages of
//   a
//                 tile stay in registers, 8 for each 128 channels and 16 columns.
// At the end a block leaves grad_dt_proj in the workspace, [run][direction][channel][rank], for the
// kernel that adds up the runs in their order.
//
// Everything is read once; bound by memory bandwidth, and by the few microseconds that it takes to
// start and to end.
#include "ops/cuda_matrix.cuh"
#include "ops/bidirectional_mixer/cuda_projections.cuh"
#include "ops/cuda_device.cuh"
#include "ops/shared_memory.h"

namespace vim::ops::mixer::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTokens = 64;
constexpr int kChannels = 128;
constexpr int kStages = 4;

using Delta = Swizzled<kChannels>;
constexpr int kStepsAt = kTokens * Delta::kPitch;

// kWidth columns of steps.
template <int kWidth>
struct Memory {
  using Rows = Padded<kWidth>;  // of steps and of dt_proj
  static constexpr int kStageBytes = kStepsAt + kTokens * Rows::kPitch;
  static constexpr int kWeightsAt = kStages * kStageBytes;
  static constexpr int kMeetingBytes = kTokens * kWidth * 4;
  static int bytes(int slabs) {
    return kWeightsAt + slabs * kChannels * Rows::kPitch + kMeetingBytes;
  }
};

int slabs_of(int channels) {
  return (channels + kChannels - 1) / kChannels;
}

// A warp's share of a stage: `delta` and `steps` are the stage's addresses, `weights` that of the
// rows of dt_proj for its channels.
template <class T, int kTiles>
struct Warp {
  using Rows = Padded<kTiles * 8>;
  int first_token = threadIdx.x / 32 % 4 * 16, half = threadIdx.x / 128;
  int first_channel = threadIdx.x / 32 * 16;
  int row = threadIdx.x % 8, quarter = threadIdx.x % 32 / 8;

  __device__ void add_steps(float (&sums)[kTiles][4], uint32_t delta, uint32_t weights) const {
#pragma unroll
    for (int k = 0; k < kChannels / 2; k += 16) {
      const int channel = half * (kChannels / 2) + k;
      uint32_t a[4];
      load_matrices(
          a, delta + Delta::place(first_token + quarter % 2 * 8 + row, channel / 8 + quarter / 2));
#pragma unroll
      for (int j = 0; j < kTiles; j += 2) {
        uint32_t b[4];
        load_matrices_transposed(
            b, weights + Rows::place(channel + quarter % 2 * 8 + row, j + quarter / 2));
        multiply(sums[j], a, b[0], b[1], T());
        multiply(sums[j + 1], a, b[2], b[3], T());
      }
    }
  }

  __device__ void add_weights(float (&sums)[kTiles][4], uint32_t delta, uint32_t steps) const {
#pragma unroll
    for (int k = 0; k < kTokens; k += 16) {
      uint32_t a[4];
      load_matrices_transposed(
          a, delta + Delta::place(k + quarter / 2 * 8 + row, first_channel / 8 + quarter % 2));
#pragma unroll
      for (int j = 0; j < kTiles; j += 2) {
        uint32_t b[4];
        load_matrices_transposed(b,
                                 steps + Rows::place(k + quarter % 2 * 8 + row, j + quarter / 2));
        multiply(sums[j], a, b[0], b[1], T());
        multiply(sums[j + 1], a, b[2], b[3], T());
      }
    }
  }

  // The halves' sums, to rows of `columns` numbers `stride` apart, of which `left` are left.
  // Between two calls all threads of the block meet.
  __device__ void store_steps(const float (&sums)[kTiles][4], float4* meeting, T* to,
                              int64_t stride, int columns, int64_t left) const {
    const int lane = threadIdx.x % 32;
    meeting += first_token / 16 * kTiles * 32;
    if (half == 1) {
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
        meeting[j * 32 + lane] = make_float4(sums[j][0], sums[j][1], sums[j][2], sums[j][3]);
      }
    }
    asm volatile("bar.sync %0, 64;\n" ::"r"(1 + first_token / 16) : "memory");
    if (half == 1) return;
    const int token = first_token + lane / 4;
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
      const float4 more = meeting[j * 32 + lane];
      const int column = j * 8 + lane % 4 * 2;
      if (column >= columns) break;
      const float low[2] = {sums[j][0] + more.x, sums[j][1] + more.y};
      const float high[2] = {sums[j][2] + more.z, sums[j][3] + more.w};
      if (token < left) store(to + token * stride + column, low);
      if (token + 8 < left) store(to + (token + 8) * stride + column, high);
    }
  }

  // To [channels, rank], from channel `slab` * kChannels on.
  __device__ void store_weights(const float (&sums)[kTiles][4], float* to, int slab, int channels,
                                int rank) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int channel = slab * kChannels + first_channel + lane / 4 + i / 2 * 8;
        const int column = j * 8 + lane % 4 * 2 + i % 2;
        if (channel < channels && column < rank) to[channel * rank + column] = sums[j][i];
      }
    }
  }
};

template <class T, int kWidth, int kMaxSlabs>
__global__ void __launch_bounds__(kThreads)
    part_kernel(const __grid_constant__ ProjectionGradients<T> work, float* workspace,
                int tiles_of_block) {
  using Memory = Memory<kWidth>;
  using Rows = typename Memory::Rows;
  constexpr int kTiles = kWidth / 8;
  extern __shared__ uint4 shared[];
  const uint32_t memory = shared_address(shared);
  const ProjectionShape& shape = work.shape;
  const int slabs = (shape.channels + kChannels - 1) / kChannels, stride = shape.width();
  const auto& direction = work.direction[blockIdx.y];
  const uint32_t weights = memory + Memory::kWeightsAt;
  for (int slab = 0; slab < slabs; ++slab) {
    copy_rows<Rows, kThreads, kChannels, kWidth>(
        weights + slab * kChannels * Rows::kPitch,
        direction.dt_proj + slab * kChannels * shape.step_width, shape.step_width,
        shape.channels - slab * kChannels, shape.step_width);
  }
  float4* const meeting = reinterpret_cast<float4*>(shared) +
                          (Memory::kWeightsAt + slabs * kChannels * Rows::kPitch) / 16;

  const int64_t first_token = int64_t{blockIdx.x} * tiles_of_block * kTokens;
  const int64_t left = min(int64_t{tiles_of_block} * kTokens, shape.tokens - first_token);
  const T* const delta = direction.grad_delta + first_token * shape.channels;
  const T* const steps = direction.x + 2 * shape.state + first_token * stride;
  T* const grad_steps = direction.grad_x + 2 * shape.state + first_token * stride;
  // Stages are loaded in the order in which they are used.
  int64_t load_token = 0;
  int load_slab = 0;
  const auto load = [&](int slot) {
    if (load_token < left) {
      const uint32_t to = memory + slot * Memory::kStageBytes;
      const int channel = load_slab * kChannels;
      copy_rows<Delta, kThreads, kTokens, kChannels>(
          to, delta + load_token * shape.channels + channel, shape.channels, left - load_token,
          shape.channels - channel);
      copy_rows<Rows, kThreads, kTokens, kWidth>(to + kStepsAt, steps + load_token * stride, stride,
                                                 left - load_token, shape.step_width);
      if (++load_slab == slabs) load_slab = 0, load_token += kTokens;
    }
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) load(i);

  const Warp<T, kTiles> warp;
  float weight_sums[kMaxSlabs][kTiles][4] = {};
  int slot = 0;
  for (int64_t token = 0; token < left; token += kTokens) {
    float step_sums[kTiles][4] = {};
#pragma unroll
    for (int slab = 0; slab < kMaxSlabs; ++slab) {
      if (slab >= slabs) break;
      wait_for_copies<kStages - 2>();
      __syncthreads();
      load(slot == 0 ? kStages - 1 : slot - 1);
      const uint32_t stage = memory + slot * Memory::kStageBytes;
      warp.add_steps(step_sums, stage, weights + slab * kChannels * Rows::kPitch);
      warp.add_weights(weight_sums[slab], stage, stage + kStepsAt);
      slot = slot + 1 == kStages ? 0 : slot + 1;
    }
    warp.store_steps(step_sums, meeting, grad_steps + token * stride, stride, shape.step_width,
                     left - token);
  }
  float* const part =
      workspace + (int64_t{blockIdx.x} * 2 + blockIdx.y) * shape.channels * shape.rank;
#pragma unroll
  for (int slab = 0; slab < kMaxSlabs; ++slab) {
    warp.store_weights(weight_sums[slab], part, slab, shape.channels, shape.rank);
  }
}

Cut cut_of(const ProjectionShape& shape, int processors) {
  return cut_evenly((shape.tokens + kTokens - 1) / kTokens, processors / 2);
}

int64_t part_floats(const ProjectionShape& shape) {
  return int64_t{shape.rank} * shape.channels;
}

template <class T, int kWidth, int kMaxSlabs>
cudaError_t launch(const ProjectionGradients<T>& work, float* workspace, const Cut& cut,
                   cudaStream_t stream) {
  const int bytes = step_shared_bytes(work.shape);
  const auto kernel = part_kernel<T, kWidth, kMaxSlabs>;
  const cudaError_t error = allow_shared_memory(kernel, bytes);
  if (error != cudaSuccess) return error;
  kernel<<<dim3(cut.blocks, 2), kThreads, bytes, stream>>>(work, workspace, cut.each);
  return cudaGetLastError();
}

}  // namespace

int step_shared_bytes(const ProjectionShape& shape) {
  const int slabs = slabs_of(shape.channels);
  return shape.step_width <= 16 ? Memory<16>::bytes(slabs) : Memory<32>::bytes(slabs);
}

int64_t step_workspace(const ProjectionShape& shape, int processors) {
  return 2 * cut_of(shape, processors).blocks * part_floats(shape);
}

template <class T>
cudaError_t step_gradients(const ProjectionGradients<T>& work, float* workspace, int processors,
                           PartialSums (&sums)[2], cudaStream_t stream) {
  const ProjectionShape& shape = work.shape;
  const Cut cut = cut_of(shape, processors);
  const int64_t floats = part_floats(shape);
  for (int d = 0; d < 2; ++d) {
    sums[d] = partial_sums(workspace, d, cut.blocks, floats,
                           {work.direction[d].grad_dt_proj, nullptr}, static_cast<int>(floats));
  }
  if (cut.blocks == 0) return cudaSuccess;
  static_assert(6 * kChannels == kMaxChannels && kMaxStepWidth == 32);
  const bool few = slabs_of(shape.channels) <= 3;
  if (shape.step_width <= 16) {
    return few ? launch<T, 16, 3>(work, workspace, cut, stream)
               : launch<T, 16, 6>(work, workspace, cut, stream);
  }
  return few ? launch<T, 32, 3>(work, workspace, cut, stream)
             : launch<T, 32, 6>(work, workspace, cut, stream);
}

template cudaError_t step_gradients(const ProjectionGradients<__half>&, float*, int,
                                    PartialSums (&)[2], cudaStream_t);
template cudaError_t step_gradients(const ProjectionGradients<__nv_bfloat16>&, float*, int,
                                    PartialSums (&)[2], cudaStream_t);

}  // namespace vim::ops::mixer::cuda
