// A warp of the backward scan for float: its shared memory, what it holds, and what it can do. The
// parts are in cuda_backward_float_{ends,gate,states}.cuh; see cuda_backward_float.cu.
#pragma once

#include "ops/selective_scan/cuda_backward.cuh"

namespace vim::ops::scan::cuda {
namespace {

constexpr int kMaxWarps = kBackwardWarps<float>;
constexpr int kItems = kChunk / 2;   // pairs of channels that a lane gates in a chunk
constexpr int kPieces = kBlock / 4;  // of 16 bytes, of a channel's states

// One warp's share of the shared memory.
struct WarpMemory {
  float4 history[kChunk + 1][kWarp * kPieces];
  float2 delta_u[kChunk][kWarp];
  float2 dy_slope[kChunk][kWarp];  // slope of the softplus
};

struct BlockMemory {
  float B_C[2][kChunk][kRows];
  float rows[2][kMaxWarps][kChunk][kRows];  // dB and dC
};

// Where a piece of 16 bytes of a channel's states lies, so that eight lanes that read or write
// theirs meet eight different banks.
__device__ __forceinline__ int piece_at(int channel, int piece) {
  return channel * kPieces + (piece ^ (channel >> 1 & 3));
}

template <bool kPaired>
struct Walker {
  const BackwardArgs<float>& args;
  const Direction<float>& dir;
  WarpMemory& memory;
  BlockMemory& block;
  int direction, sample, segment, channel_block, warp, lane;
  int length, chunks, step;
  bool gates;   // whether it is this block that writes dz and `out`
  bool inside;  // whether the lane's channel is one
  int channel;  // the lane's, or another where it has none
  // What the lane loads and stores is a pair of channels: whether its first and its second are
  // channels, and where they are in a row.
  bool pair_inside;
  int pair_second;
  uint32_t of_pair;
  Bytes<const float> u, delta, grad_out, z;
  Bytes<const float> sum;

  struct Loaded {
    Word<float> u[kItems], delta[kItems], grad[kItems], z[kItems], sum[kItems];
    float4 states[kPieces];
    FourStates<float> B_C[2];
  };

  float A[kBlock], g[kBlock], dA[kBlock];
  float D, dD, dbias;
  float2 pair_bias;

  __device__ int chunk_at(int walked) const { return step > 0 ? walked : chunks - 1 - walked; }
  __device__ int token(int chunk, int k) const {
    return chunk * kChunk + (step > 0 ? k : kChunk - 1 - k);
  }

  // The ends of a walk.
  __device__ void init();
  __device__ void enter();
  __device__ void store_channels() const;

  // Step 1, and the inputs before it.
  __device__ void load(int walked, Loaded& to) const;
  __device__ void stage_B_C(const Loaded& from, int buffer) const;
  __device__ void gate(const Loaded& from, int chunk);
  __device__ void store_gate(const Loaded& from, int chunk, const float2* dy,
                             const float2* open) const;

  // Steps 2 to 6.
  __device__ void recompute(const Loaded& from, int buffer);
  __device__ void sum_over_channels(int buffer, int half);
  __device__ void descend(int chunk, int buffer);
  __device__ void pass_on(int t, float2& sums) const;
  __device__ void store_rows(int walked, int buffer) const;

  __device__ void walk();
};

}  // namespace
}  // namespace vim::ops::scan::cuda
