// The shared memory of the backward scan for 16-bit types, how it is filled and read, and its
// matrix instructions: see cuda_backward.cu.
#pragma once

#include "ops/selective_scan/cuda_backward.cuh"

namespace vim::ops::scan::cuda {
namespace {

using Stored = __nv_bfloat16;  // states in memory, and the operands of sums over channels

constexpr int kUnit = kBackwardUnit<Stored>;  // channels of a warp
constexpr int kOwn = 2;                       // of a lane
constexpr int kMine = 4;                      // states of a lane
constexpr int kPiece = 8;                     // numbers in 16 bytes
constexpr int kSlot = kUnit * kBlock * 2;     // bytes of the states before or behind a token
// The padding of rows below keeps what is read or written at once on different banks.
constexpr int kStepRow = kUnit + 4;         // floats
constexpr int kOperandRow = kUnit / 2 + 4;  // words
constexpr int kRowStride = kRows + 4;       // floats

// A chunk's inputs as they lie in device memory, by step of the walk. Pieces of 16 bytes are at
// raw_piece, those of B and C, two and two a step, at B_C_piece.
using RawRows = uint4[kChunk * 2];
struct RawSteps {
  RawRows u, delta;
  uint4 B_C[kChunk * 4];
};
struct Raw : RawSteps {
  RawRows grad, z, sum;
};
// Slots of the history, free when they are used for it, in which are: the steps of a span's first
// chunk where its second is walked next; the states before a span, at history_piece as in every
// slot; and the inputs of the chunk that is walked next.
constexpr int kStepsSlot = kChunk + 1, kStatesSlot = kChunk + 3, kRawSlot = kChunk + 5;
static_assert(sizeof(RawSteps) <= (kStatesSlot - kStepsSlot) * kSlot);
static_assert(sizeof(Raw) <= (2 * kChunk + 1 - kRawSlot) * kSlot);

// What a warp copies to there at once: rows of u and of delta, of the gradient of the output and of
// z, of the sum before the gate, and of B and C.
enum Copy { kSteps, kGates, kSums, kB_C, kCopies };

struct WarpMemory {
  unsigned char history[2 * kChunk + 1][kSlot];               // of a span
  float delta[kChunk][kStepRow];                              // steps
  float2 slope[2][kWarp];                                     // of the softplus, for each lane
  uint32_t dy[kChunk][kOperandRow], du[kChunk][kOperandRow];  // operands
  float D[kUnit], bias[kUnit];
  // Where each lane's piece of the next copy is, and for both tensors, how many bytes further that
  // of the one after is.
  uint64_t from[kCopies][kWarp];
  alignas(128) int step[kCopies][2];

  __device__ RawSteps& steps() { return *reinterpret_cast<RawSteps*>(history[kStepsSlot]); }
  __device__ Raw& raw() { return *reinterpret_cast<Raw*>(history[kRawSlot]); }
};
static_assert(sizeof(WarpMemory) % 128 == 0);

// Where a piece is, in pieces, so that eight that a matrix instruction reads or writes, or that a
// warp reads two numbers each of, are on different banks.
__device__ __forceinline__ uint32_t raw_piece(uint32_t k, uint32_t piece) {
  return k / 4 * 8 + ((k % 4 * 2 + piece) ^ k / 4 * 2);
}
__device__ __forceinline__ uint32_t B_C_piece(uint32_t k, uint32_t piece) {
  return k / 2 * 8 + ((k % 2 * 4 + piece) ^ k / 2);
}
__device__ __forceinline__ uint32_t history_piece(uint32_t channel, uint32_t piece) {
  const uint32_t bank = (piece ^ channel / 4 % 2) * 4 + (channel ^ channel / 8) % 2 * 2;
  return channel / 4 * 8 + bank + channel / 2 % 2;
}

// Where a lane's things are, in bytes: computed once, as it takes more instructions than a load.
struct Offsets {
  uint32_t row[kWarp], B_C[kWarp], states[kWarp];  // pieces that it copies
  uint32_t words[kWarp];                           // its channels at token 2 * column, of a tensor
  uint32_t B_C_matrices[kWarp];                    // rows of matrices that it addresses: B and C;
  uint32_t own_matrices[kWarp];    // all lanes' channels and states in a slot of the history;
  uint32_t state_matrices[kWarp];  // 16 states by 16 channels there

  __device__ void fill(uint32_t lane) {
    row[lane] = raw_piece(lane / 2 % 8, lane % 2) * 16 + lane / 16 * sizeof(RawRows);
    B_C[lane] = B_C_piece(lane / 4, lane % 4) * 16;
    states[lane] = history_piece(lane / 2, lane % 2) * 16;
    words[lane] = raw_piece(lane % 4 * 2, lane / 16) * 16 + lane / 4 % 4 * 4;
    B_C_matrices[lane] = B_C_piece(lane % 8, lane / 8) * 16;
    own_matrices[lane] = history_piece(lane % 8 * 2 + lane / 8 % 2, lane / 16) * 16;
    state_matrices[lane] = history_piece(lane / 16 * 8 + lane % 8, lane / 8 % 2) * 16;
  }
};

struct BlockMemory {
  float rows[2][kBackwardWarps<Stored>][kChunk][kRowStride];  // dB and dC, by step of the walk
  alignas(16) unsigned char sources[16 * 14];
  Offsets offsets;
  uint64_t finished;  // a barrier: whether every warp has put its dB and dC of a chunk
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

// A barrier at which a thread does not wait where it arrives.
__device__ __forceinline__ void init_barrier(uint64_t& barrier, int threads) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(&barrier)), "r"(threads)
               : "memory");
}
__device__ __forceinline__ void arrive(uint64_t& barrier) {
  asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(shared_address(&barrier)) : "memory");
}
// Until all have arrived for the `round`-th time, from 0; nobody may be two rounds behind.
__device__ __forceinline__ void wait(uint64_t& barrier, int round) {
  uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{\n.reg .pred p;\n"
#if __CUDA_ARCH__ >= 900
        "mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n"
#else
        "mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n"
#endif
        "selp.u32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(shared_address(&barrier)), "r"(round & 1)
        : "memory");
  }
}

// Four words of a thread into four matrices of eight rows of 16 bytes; lane l gives the address of
// row l % 8 of matrix l / 8, and its words go to, and come from, word l % 4 of rows l / 4.
__device__ __forceinline__ void store_matrices(uint32_t address, const uint32_t* words) {
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
__device__ __forceinline__ void load_matrices(uint32_t address, uint32_t* words) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(address));
}
__device__ __forceinline__ void load_transposed(uint32_t address, uint32_t* words) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(address));
}

// d += a * b for a of 16 x 16 and b of 16 x 8 numbers. What a lane holds, of row r = lane / 4 and
// column c = lane % 4: of a, words of rows r and r + 8, columns 2c, 2c + 1 and then those + 8; of
// b, rows 2c, 2c + 1 and then those + 8 of column r; of d, columns 2c, 2c + 1 of rows r and r + 8.
__device__ __forceinline__ void multiply(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                         uint32_t a3, uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
      "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
// Likewise for a of 16 x 4 and b of 4 x 8 floats, of which it reads the upper 19 bits: of a, column
// c of rows r and r + 8; of b, row c of column r.
__device__ __forceinline__ void multiply(float& d0, float& d1, float& d2, float& d3, float a0,
                                         float a1, float b) {
  asm("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
      "{%0, %1, %2, %3};"
      : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)
      : "r"(__float_as_uint(a0)), "r"(__float_as_uint(a1)), "r"(__float_as_uint(b)));
}

}  // namespace
}  // namespace vim::ops::scan::cuda
