// A warp of the backward scan for 16-bit types: what it holds, and what it can do. The parts are in
// cuda_backward_{fetch,gate,states,ends}.cuh; see cuda_backward.cu.
#pragma once

#include "ops/selective_scan/cuda_backward_memory.cuh"

namespace vim::ops::scan::cuda {
namespace {

// One sample's rows, so that an address costs a load and three instructions.
struct alignas(16) Source {
  char* base;
  uint32_t stride;  // bytes
  uint32_t unused;

  template <class T>
  __device__ Source(const Rows<T>& rows, int64_t sample, int64_t first = 0)
      : base((char*)(rows.data + sample * rows.batch_stride + first)),
        stride(static_cast<uint32_t>(rows.token_stride * sizeof(T))),
        unused(0) {}
  // Calls each(i, address) for so far into both of two rows.
  template <class Each>
  __device__ void each_of(int first, int second, uint32_t of_row, const Each& each) const {
    const uint4 all = *reinterpret_cast<const uint4*>(this);
    const uint64_t start = (static_cast<uint64_t>(all.y) << 32 | all.x) + of_row;
    each(0, reinterpret_cast<char*>(start +
                                    static_cast<uint64_t>(static_cast<uint32_t>(first)) * all.z));
    each(1, reinterpret_cast<char*>(start +
                                    static_cast<uint64_t>(static_cast<uint32_t>(second)) * all.z));
  }
  __device__ char* at(int row, uint32_t of_row) const {
    const uint4 all = *reinterpret_cast<const uint4*>(this);
    return reinterpret_cast<char*>(static_cast<uint64_t>(all.y) << 32 | all.x) +
           (static_cast<uint32_t>(row) * all.z + of_row);
  }
};

// The first nine of the block's channels; B and C of all states of this launch.
struct Sources {
  Source u, delta, grad_out, z, sum, grad_z, out, grad_u, grad_delta;
  Source B, C;
  Source states;      // rows are checkpoints
  Source rows;        // the block's parts of dB and dC
  Source unfinished;  // of one state block's launch for the next; absent for one
};
static_assert(sizeof(Sources) == sizeof(BlockMemory::sources));

// What a lane has of a chunk: its channels at tokens 2 * column and 2 * column + 1, and of these
// tokens states `row` and `row` + 8 of B and C.
struct Chunk {
  float dy[kOwn][2], du[kOwn][2];  // [channel][token]
  float B[2][2], C[2][2];          // [half of the states][token]
  uint32_t u[2];                   // pairs of channels
  uint32_t B_pairs[2];  // of token `row`, states 2 * column and 2 * column + 1, and those + 8
};

// Where a lane is. It is read anew in each step, so that addresses that follow of it are computed
// anew there: the compiler would keep dozens of them in registers for the whole walk.
struct Place {
  uint32_t lane, row, column;  // the latter two in matrices

  __device__ Place() {
    asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
    row = lane / 4, column = lane % 4;
  }
};

// What is walked: a segment of a sample in a direction, of a block of channels.
struct Item {
  int direction, sample, segment, channel_block;

  template <class T>
  __device__ Item(const BackwardArgs<T>& args, int at) {
    channel_block = at % args.plan.channel_blocks;
    at /= args.plan.channel_blocks;
    direction = at % args.work.in.directions;
    at /= args.work.in.directions;
    segment = at % args.plan.segments;
    sample = at / args.plan.segments;
  }
};

// kAligned: there are 16 states, and rows consist of aligned pieces of 16 bytes.
template <class T, bool kAligned>
struct Walker {
  const BackwardArgs<T>& args;
  BlockMemory& block;
  WarpMemory& memory;
  const int warp;

  int length, chunks;
  int flip;           // a token's number in its chunk XOR this is its place in the walk
  bool gates;         // whether it is this walk that writes dz and `out`
  int channels_left;  // from the warp's first on
  int rounds;         // of the barrier
  // The lane's channels are the warp's 2 * row and 2 * row + 1, its states 2 * column,
  // 2 * column + 1 and those + 8.
  float A[kOwn][kMine], g[kOwn][kMine], dA[kOwn][kMine];
  float dD[kOwn], dbias[kOwn];  // of the lane's tokens

  __device__ Walker(const BackwardArgs<T>& args_, BlockMemory& block_, WarpMemory* memory_)
      : args(args_),
        block(block_),
        memory(memory_[threadIdx.x / kWarp]),
        warp(static_cast<int>(threadIdx.x) / kWarp),
        rounds(0) {}

  __device__ int chunk_at(int walked) const { return flip == 0 ? walked : chunks - 1 - walked; }
  __device__ int token(int chunk, int k) const { return chunk * kChunk + (k ^ flip); }
  // Whether the walk comes to a chunk from another one of the same span.
  __device__ bool is_second(int chunk) const {
    static_assert(kSpacing<T> == 2 * kChunk);
    return flip == 0 ? chunk % 2 == 1 : chunk % 2 == 0 && chunk + 1 < chunks;
  }
  static __device__ int state_of(const Place& at, uint32_t i) {
    return i / 2 * 8 + 2 * at.column + i % 2;
  }
  __device__ const Sources& sources() const {
    return *reinterpret_cast<const Sources*>(block.sources);
  }
  __device__ uint32_t history(int slot) const {
    return shared_address(memory.history) + slot * kSlot;
  }

  // The ends of a walk.
  __device__ void init(const Item& item);
  __device__ Sources find_sources(const Item& item) const;
  __device__ void enter(const Item& item);
  __device__ void take(int64_t slot);
  __device__ void leave(int64_t slot);
  template <class Each>
  __device__ void each_carried(const Each& each);
  __device__ void store_channels(const Item& item);

  // Copies of inputs to shared memory.
  __device__ void aim(int walked);
  __device__ void fetch(int walked);
  __device__ void fetch_span(int walked);
  __device__ void copy(const Place& at, Copy which, uint32_t tensor, void* to, int count,
                       bool last) const;
  __device__ void copy_steps(const Place& at, int chunk, RawSteps& raw, bool last) const;

  // Step 1.
  __device__ void gate(int chunk, Chunk& of);
  __device__ void load_steps(const Place& at, const RawSteps& raw, int chunk, float (&now)[2][kOwn],
                             float (&slope)[2][kOwn], float (&u)[2][kOwn]) const;
  __device__ void put_gate(const Place& at, int chunk, const float (&dy)[2][kOwn],
                           const float (&z)[2][kOwn], const float (&open)[2][kOwn]) const;
  __device__ void store_own(const Place& at, const Source& rows, int chunk,
                            const float (&values)[2][kOwn]) const;
  __device__ bool is_missing(const Place& at, int chunk, int p, int c) const {
    return token(chunk, 2 * at.column + p) >= length ||
           static_cast<int>(kOwn * at.row) + c >= channels_left;
  }

  // Steps 2 to 6.
  __device__ void ascend_first(int chunk, float (&h)[kOwn][kMine]);
  __device__ void ascend(int base, float (&h)[kOwn][kMine], const Chunk& of);
  __device__ void begin_span(float (&h)[kOwn][kMine]);
  __device__ void sum_two(const Place& at, const uint32_t (&b)[2], int j, uint32_t address,
                          float (&kept)[4]) const;
  __device__ void put_sums(const Place& at, const float (&kept)[4], int which, int buffer) const;
  __device__ void sum_over_channels(int base, int buffer) const;
  __device__ void descend(int walked, int base, bool fetches, int buffer, const Chunk& of);
  template <int p>
  __device__ void descend_token(const Place& at, int j, const float* steps, uint32_t own,
                                const Chunk& of, float (&through_B)[4], float (&through_A)[4]);
  __device__ void finish(int chunk, const Chunk& of, const float (&through_B)[4],
                         const float (&through_A)[4]);
  __device__ float2* unfinished_of(const Place& at, int chunk, int p) const;
  __device__ void store_rows(int walked, int buffer) const;

  __device__ void walk(const Item& item, int begin, int end);
};

}  // namespace
}  // namespace vim::ops::scan::cuda
