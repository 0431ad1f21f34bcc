// The shared memory of the backward scan for 16-bit types, and how it is filled and read.
#pragma once

#include "ops/selective_scan/cuda_backward.cuh"

namespace vim::ops::scan::cuda {
namespace {

using Stored = __nv_bfloat16;  // states in memory, and the operands of the matrix products

constexpr int kUnit = kWarp;  // channels of a warp
constexpr int kPairs = kUnit / 2;
constexpr int kMine = kBlock / 2;        // states of a thread
constexpr int kSlot = kBlock * kPairs;   // words of the states before or behind a token
constexpr int kOperandRow = kPairs + 4;  // words; the padding keeps eight rows on different banks
constexpr int kRowStride = kRows + 4;    // likewise
constexpr int kHalf = kChunk / 2;
constexpr int kPieces = 4;  // of 16 bytes, of a row of a warp's channels
constexpr int kPiece = 8;   // numbers in one

// A chunk's inputs as they lie in device memory; words are pairs of channels or of states.
struct Raw {
  uint32_t u[kChunk][kPairs], delta[kChunk][kPairs], grad[kChunk][kPairs];  // by step of the walk
  uint32_t z[kChunk][kPairs], sum[kChunk][kPairs];
  uint4 states[kUnit][2];
};

struct WarpMemory {
  uint32_t history[kChunk + 1][kSlot];  // pieces of 16 bytes, swizzled by the state
  // The steps and the gradients of y of two channels; behind step 4, rows of du and of ddelta.
  float4 step_dy[kChunk][kPairs];
  float2 slope[kChunk][kPairs];  // of the softplus
  uint32_t u[kChunk][kPairs];
  uint32_t dy[kChunk][kOperandRow], du[kChunk][kOperandRow];  // pairs of bfloat16

  __device__ Raw& raw() { return *reinterpret_cast<Raw*>(history[kHalf + 1]); }
};
static_assert(sizeof(Raw) <= kHalf * kSlot * sizeof(uint32_t));

// One sample's rows, so that an address costs a load and three instructions.
struct alignas(16) Source {
  char* base;
  uint32_t stride;  // bytes

  template <class T>
  __device__ Source(const Rows<T>& rows, int64_t sample)
      : base((char*)(rows.data + sample * rows.batch_stride)),
        stride(static_cast<uint32_t>(rows.token_stride * sizeof(T))) {}
  __device__ char* at(int row, uint32_t of_row) const {
    return base + (static_cast<uint32_t>(row) * stride + of_row);
  }
};

struct Sources {
  Source u, delta, grad_out, z, sum, B, C;
  Source states;  // of the block's channels; rows are chunks
  Source grad_z, out, grad_u, grad_delta;
  Source rows;  // the block's parts of dB and dC
};

struct BlockMemory {
  uint4 raw_B_C[kChunk][kPieces];  // by token, as B_C
  float B_C[2][kChunk][kRows];
  float rows[2][kBackwardWarps][kChunk][kRowStride];  // dB and dC, by step of the walk
  alignas(16) unsigned char sources[sizeof(Sources)];
};

__device__ __forceinline__ uint32_t shared_address(const void* at) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(at));
}

// 16 bytes to shared memory on their own time; zeros where they are not there.
__device__ __forceinline__ void copy_piece(void* to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
               "l"(__cvta_generic_to_global(from)), "r"(there ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

// Four words of a thread into four rows of eight pieces of 16 bytes; lane l gives the address of
// piece l % 8 of row l / 8, and every thread's word has its lane's place in the row.
__device__ __forceinline__ void store_columns(uint32_t address, const uint32_t* words) {
#if __CUDA_ARCH__ >= 900
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
               "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3]));
#else
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const uint32_t row = __shfl_sync(~0u, address, i * 8 + lane / 4) + lane % 4 * 4;
    asm volatile("st.shared.b32 [%0], %1;" ::"r"(row), "r"(words[i]));
  }
#endif
}
// The inverse; also a fragment of 16 by 16 numbers, or of 32 by 8.
__device__ __forceinline__ void load_matrices(uint32_t address, uint32_t* words) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(address));
}
// d += 16 states by 16 channels times 16 channels by 8 tokens.
__device__ __forceinline__ void multiply(const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                                         float (&d)[4]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
      "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace
}  // namespace vim::ops::scan::cuda
