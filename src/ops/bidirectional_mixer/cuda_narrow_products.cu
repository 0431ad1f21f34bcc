// Products of a narrow row of each token by a small matrix: delta = steps dt_proj^T, and grad_u +=
// grad_x x_proj, which is read and written in place.
//
// A block owns up to kColumns columns of a direction and a run of tokens, kTokens at a time: a
// tile, in shared memory together with the tokens' narrow rows, two tiles in a ring so that one is
// on its way while the other is used. The small matrix (b) lies there throughout, in the order in
// which lanes want it as fragments of mma. A warp takes 16 tokens and 32 columns: it reads its
// numbers of the tile, adds the product (mma, float sums) and puts them back; then the whole block
// writes the tile out, 16 bytes a thread and neighbours side by side.
//
// The order of the depth, and that of the columns, is free in a product as long as all agree: lane
// i has the numbers 4 (i % 4) to + 3 of each 16 of the depth and the columns 8 (i % 4) to + 7 of
// the 32, so that it reads and writes 8 and 16 bytes at once; the j-th 8 columns of an mma are the
// j-th pairs of each 8.
//
// Everything is moved once; bound by memory bandwidth. Two blocks on a processor keep it busy while
// they wait for their own warps.
#include "ops/cuda_matrix.cuh"
#include "ops/bidirectional_mixer/cuda_projections.cuh"
#include "ops/cuda_device.cuh"
#include "ops/shared_memory.h"

namespace vim::ops::mixer::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kBlocksOfProcessor = 2;
constexpr int kTokens = 32;
constexpr int kStages = 2;
constexpr int kColumns = 384;
constexpr int kGroup = 32;
constexpr int kGroups = kColumns / kGroup;

// Rows of the tile, of which a quarter of a warp reads two times four neighbouring groups at once.
struct TileRows {
  static constexpr int kPitch = kColumns * 2;
  __device__ static int place(int row, int group) {
    return row * kPitch + ((group ^ ((row & 1) << 2)) << 4);
  }
};
// Rows of 16 kSteps numbers, of which half a warp reads 32 neighbouring bytes of four at once.
template <int kSteps>
struct NarrowRows {
  static constexpr int kPitch = (kSteps | 1) * 32;
  __device__ static int place(int row, int group) { return row * kPitch + group * 16; }
};

constexpr int kNarrowAt = kTokens * TileRows::kPitch;
template <int kSteps>
struct Memory {
  static constexpr int kStageBytes = kNarrowAt + kTokens * NarrowRows<kSteps>::kPitch;
  static constexpr int kMatrixAt = kStages * kStageBytes;
  static constexpr int kBytes = kMatrixAt + kGroups * kSteps * 1024;
};

// b as it lies in shared memory: for each group of columns and 16 of the depth, what a lane has of
// the first two and of the last two times 8 columns. Here the index of the first 32 bits of two.
template <int kSteps>
__device__ int place(int group, int step, int eighth, int lane) {
  return (((group * kSteps + step) * 2 + eighth / 2) * 32 + lane) * 4 + eighth % 2 * 2;
}

// Eight neighbours.
struct alignas(16) Octet {
  uint16_t bits[8];
};

// From b [depth, columns].
template <int kSteps, class T>
__device__ void arrange_rows(uint32_t* to, const T* b, int64_t stride, int depth, int columns) {
  for (int i = threadIdx.x; i < kGroups * kSteps * 32; i += kThreads) {
    const int pair = i % 8, octet = i / 8 % 4, step = i / 32 % kSteps, group = i / 32 / kSteps;
    const int row = step * 16 + pair * 2, column = group * kGroup + octet * 8;
    Octet rows[2] = {};
    if (column < columns && row < depth) {
      rows[0] = *reinterpret_cast<const Octet*>(b + row * stride + column);
      rows[1] = *reinterpret_cast<const Octet*>(b + (row + 1) * stride + column);
    }
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      const int lane = (octet * 2 + c % 2) * 4 + pair / 2;
      to[place<kSteps>(group, step, c / 2, lane) + pair % 2] =
          rows[0].bits[c] | static_cast<uint32_t>(rows[1].bits[c]) << 16;
    }
  }
}

// From b^T [columns, depth].
template <int kSteps, class T>
__device__ void arrange_columns(uint32_t* to, const T* b, int64_t stride, int depth, int columns) {
  for (int i = threadIdx.x; i < kGroups * kSteps * 128; i += kThreads) {
    const int lane = i % 32, eighth = i / 32 % 4, step = i / 128 % kSteps, group = i / 128 / kSteps;
    const int row = step * 16 + lane % 4 * 4;
    const int column = group * kGroup + lane / 8 * 8 + eighth * 2 + lane / 4 % 2;
    uint2 four = make_uint2(0, 0);
    if (column < columns && row < depth) {
      four = *reinterpret_cast<const uint2*>(b + column * stride + row);
    }
    *reinterpret_cast<uint2*>(to + place<kSteps>(group, step, eighth, lane)) = four;
  }
}

// 16 tokens, from `row` on for the first lanes, and 32 columns of a tile, in place.
template <int kSteps, bool kAdd, class T>
__device__ void multiply_part(unsigned char* tile, const uint4* matrix, int group, int row,
                              T type) {
  const int lane = threadIdx.x % 32;
  T* const places[2] = {
      reinterpret_cast<T*>(tile + TileRows::place(row, group * 4 + lane % 4)),
      reinterpret_cast<T*>(tile + TileRows::place(row + 8, group * 4 + lane % 4))};
  float sums[4][4] = {};
#pragma unroll
  for (int half = 0; half < (kAdd ? 2 : 0); ++half) {
    float values[8];
    load(values, static_cast<const T*>(places[half]));
#pragma unroll
    for (int j = 0; j < 8; ++j) sums[j / 2][half * 2 + j % 2] = values[j];
  }
  const unsigned char* const narrow = tile + kNarrowAt + lane % 4 * 8;
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    using Rows = NarrowRows<kSteps>;
    const uint2 low = *reinterpret_cast<const uint2*>(narrow + Rows::place(row, s * 2));
    const uint2 high = *reinterpret_cast<const uint2*>(narrow + Rows::place(row + 8, s * 2));
    const uint32_t a[4] = {low.x, high.x, low.y, high.y};
    const uint4 first = matrix[(group * kSteps + s) * 64 + lane];
    const uint4 second = matrix[(group * kSteps + s) * 64 + 32 + lane];
    multiply(sums[0], a, first.x, first.y, type);
    multiply(sums[1], a, first.z, first.w, type);
    multiply(sums[2], a, second.x, second.y, type);
    multiply(sums[3], a, second.z, second.w, type);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float values[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) values[j] = sums[j / 2][half * 2 + j % 2];
    store(places[half], values);
  }
}

template <class T>
__device__ void write_tile(T* to, int64_t stride, const unsigned char* tile, int64_t rows,
                           int columns) {
#pragma unroll
  for (int i = 0; i < kTokens * kColumns / 8 / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int row = index / (kColumns / 8), group = index % (kColumns / 8);
    if (row < rows && group * 8 < columns) {
      *reinterpret_cast<uint4*>(to + row * stride + group * 8) =
          *reinterpret_cast<const uint4*>(tile + TileRows::place(row, group));
    }
  }
}

template <class T, int kSteps, bool kAdd>
__global__ void __launch_bounds__(kThreads, kBlocksOfProcessor)
    product_kernel(const __grid_constant__ Product<T> work, int tiles_of_block) {
  using Memory = Memory<kSteps>;
  extern __shared__ uint4 shared[];
  unsigned char* const memory = reinterpret_cast<unsigned char*>(shared);
  const auto& direction = work.direction[blockIdx.y];
  const int first_column = blockIdx.x * kColumns;
  const int columns = min(work.columns - first_column, kColumns);
  const int64_t first_token = int64_t{blockIdx.z} * tiles_of_block * kTokens;
  const int64_t left = min(int64_t{tiles_of_block} * kTokens, work.tokens - first_token);
  T* const out = direction.out + first_token * work.columns + first_column;
  const T* const a = direction.a + first_token * work.a_stride;
  const auto load = [&](int64_t token, int slot) {
    if (token < left) {
      const uint32_t to = shared_address(memory + slot * Memory::kStageBytes);
      if (kAdd) {
        copy_rows<TileRows, kThreads, kTokens, kColumns>(to, out + token * work.columns,
                                                         work.columns, left - token, columns);
      }
      copy_rows<NarrowRows<kSteps>, kThreads, kTokens, kSteps * 16>(
          to + kNarrowAt, a + token * work.a_stride, work.a_stride, left - token, work.depth);
    }
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) load(i * kTokens, i);

  uint32_t* const matrix = reinterpret_cast<uint32_t*>(memory + Memory::kMatrixAt);
  if (kAdd) {
    arrange_rows<kSteps>(matrix, direction.b + first_column, work.columns, work.depth, columns);
  } else {
    arrange_columns<kSteps>(matrix, direction.b + first_column * work.depth, work.depth, work.depth,
                            columns);
  }
  constexpr int kParts = kTokens / 16;  // of a group
  const int parts = (columns + kGroup - 1) / kGroup * kParts;
  int slot = 0;
  for (int64_t token = 0; token < left; token += kTokens) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    load(token + (kStages - 1) * kTokens, slot == 0 ? kStages - 1 : slot - 1);
    unsigned char* const tile = memory + slot * Memory::kStageBytes;
    for (int i = threadIdx.x / 32; i < parts; i += kWarps) {
      multiply_part<kSteps, kAdd>(tile, reinterpret_cast<const uint4*>(matrix), i / kParts,
                                  i % kParts * 16 + threadIdx.x % 32 / 4, T());
    }
    __syncthreads();
    write_tile(out + token * work.columns, work.columns, tile, left - token, columns);
    slot = slot + 1 == kStages ? 0 : slot + 1;
  }
}

// Calls launch with the number of times 16 of the depth.
template <class Launch>
auto with_steps(int depth, const Launch& launch) {
  switch ((depth + 15) / 16) {
    case 1:
      return launch(Constant<1>());
    case 2:
      return launch(Constant<2>());
    case 3:
      return launch(Constant<3>());
    default:
      static_assert(kMaxWidth <= 4 * 16);
      return launch(Constant<4>());
  }
}

template <class T, int kSteps, bool kAdd>
cudaError_t launch(const Product<T>& work, int processors, cudaStream_t stream) {
  if (work.tokens == 0 || work.columns == 0) return cudaSuccess;
  const auto kernel = product_kernel<T, kSteps, kAdd>;
  constexpr int kBytes = Memory<kSteps>::kBytes;
  const cudaError_t error = allow_shared_memory(kernel, kBytes);
  if (error != cudaSuccess) return error;
  const int slabs = (work.columns + kColumns - 1) / kColumns;
  const Cut cut = cut_evenly((work.tokens + kTokens - 1) / kTokens,
                             processors * kBlocksOfProcessor / (2 * slabs));
  kernel<<<dim3(slabs, 2, cut.blocks), kThreads, kBytes, stream>>>(work, cut.each);
  return cudaGetLastError();
}

}  // namespace

int product_shared_bytes(int depth) {
  return with_steps(depth, [](auto steps) { return Memory<decltype(steps)::value>::kBytes; });
}

template <class T>
cudaError_t product(const Product<T>& work, int processors, cudaStream_t stream) {
  return with_steps(work.depth, [&](auto steps) {
    return launch<T, decltype(steps)::value, false>(work, processors, stream);
  });
}

template <class T>
cudaError_t add_product(const Product<T>& work, int processors, cudaStream_t stream) {
  return with_steps(work.depth, [&](auto steps) {
    return launch<T, decltype(steps)::value, true>(work, processors, stream);
  });
}

template cudaError_t product(const Product<__half>&, int, cudaStream_t);
template cudaError_t product(const Product<__nv_bfloat16>&, int, cudaStream_t);
template cudaError_t add_product(const Product<__half>&, int, cudaStream_t);
template cudaError_t add_product(const Product<__nv_bfloat16>&, int, cudaStream_t);

}  // namespace vim::ops::mixer::cuda
