// Step 1 of the backward scan: softplus and gate, the gate's own gradient, and what the later steps
// read of it.
#pragma once

#include "ops/selective_scan/cuda_backward_walker.cuh"

namespace vim::ops::scan::cuda {
namespace {

// The lane's channels in both of its tokens; `first` is where the first's are.
template <class T>
__device__ __forceinline__ void load_own(const RawRows& rows, uint32_t first,
                                         float (&to)[2][kOwn]) {
#pragma unroll
  for (uint32_t p = 0; p < 2; ++p) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(rows) + (first ^ p * 32);
    const float2 both = unpack<T>(*reinterpret_cast<const uint32_t*>(bytes));
    to[p][0] = both.x, to[p][1] = both.y;
  }
}

// The steps, the slopes of their softplus and the inputs; what is none changes no state and takes
// no gradient.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::load_steps(const Place& at, const RawSteps& raw, int chunk,
                                                float (&now)[2][kOwn], float (&slope)[2][kOwn],
                                                float (&u)[2][kOwn]) const {
  const float2 both = *reinterpret_cast<const float2*>(&memory.bias[kOwn * at.row]);
  const float bias[] = {both.x, both.y};
  const uint32_t words = block.offsets.words[at.lane];
  load_own<T>(raw.delta, words, now), load_own<T>(raw.u, words, u);
#pragma unroll
  for (int i = 0; i < 4; ++i) now[i / 2][i % 2] += bias[i % 2], slope[i / 2][i % 2] = 1.0f;
  if (args.work.in.delta_softplus) {
#pragma unroll
    for (int i = 0; i < 4; ++i) softplus_and_slope(now[i / 2][i % 2], slope[i / 2][i % 2]);
  }
  if (chunk * kChunk + kChunk > length || args.partial) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (is_missing(at, chunk, i / 2, i % 2)) now[i / 2][i % 2] = u[i / 2][i % 2] = 0;
    }
  }
#pragma unroll
  for (int p = 0; p < 2; ++p) {
    *reinterpret_cast<float2*>(&memory.delta[2 * at.column + p][kOwn * at.row]) = {now[p][0],
                                                                                   now[p][1]};
  }
}

template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::gate(int chunk, Chunk& of) {
  const Place at;
  const Inputs<T>& in = args.work.in;
  float now[2][kOwn], slope[2][kOwn], u[2][kOwn], dy[2][kOwn];
  wait_for_copies();
  __syncwarp();
  load_steps(at, memory.raw(), chunk, now, slope, u);
#pragma unroll
  for (int p = 0; p < 2; ++p) {
    memory.slope[p][at.lane] = {slope[p][0], slope[p][1]};
    of.u[p] = pack<T>(u[p][0], u[p][1]);
  }
  load_own<T>(memory.raw().grad, block.offsets.words[at.lane], dy);
#pragma unroll
  for (int i = 0; i < 4; ++i) dy[i / 2][i % 2] *= in.scale;
  if (in.z.data != nullptr) {
    float z[2][kOwn], open[2][kOwn];
    load_own<T>(memory.raw().z, block.offsets.words[at.lane], z);
#pragma unroll
    for (int i = 0; i < 4; ++i) open[i / 2][i % 2] = sigmoid_approx(z[i / 2][i % 2]);
    if (gates) put_gate(at, chunk, dy, z, open);
#pragma unroll
    for (int i = 0; i < 4; ++i) dy[i / 2][i % 2] *= z[i / 2][i % 2] * open[i / 2][i % 2];
  }
  if (chunk * kChunk + kChunk > length || args.partial) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (is_missing(at, chunk, i / 2, i % 2)) dy[i / 2][i % 2] = 0;
    }
  }
#pragma unroll
  for (int p = 0; p < 2; ++p) {
    const float du[] = {now[p][0] * u[p][0], now[p][1] * u[p][1]};
#pragma unroll
    for (int c = 0; c < kOwn; ++c) of.du[c][p] = du[c], of.dy[c][p] = dy[p][c];
    memory.dy[2 * at.column + p][at.row] = pack<Stored>(dy[p][0], dy[p][1]);
    memory.du[2 * at.column + p][at.row] = pack<Stored>(du[0], du[1]);
  }
}

// dz, and `out` where it is wanted.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::put_gate(const Place& at, int chunk,
                                              const float (&dy)[2][kOwn], const float (&z)[2][kOwn],
                                              const float (&open)[2][kOwn]) const {
  float sum[2][kOwn], dz[2][kOwn];
  load_own<T>(memory.raw().sum, block.offsets.words[at.lane], sum);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int p = i / 2, c = i % 2;
    const float silu = z[p][c] * open[p][c];
    // silu' = sigmoid (1 + z (1 - sigmoid))
    dz[p][c] = dy[p][c] * sum[p][c] * fmaf(silu, 1.0f - open[p][c], open[p][c]);
    sum[p][c] *= args.work.in.scale * silu;
  }
  store_own(at, sources().grad_z, chunk, dz);
  if (args.work.out.data != nullptr) store_own(at, sources().out, chunk, sum);
}

// The lane's channels of its tokens.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::store_own(const Place& at, const Source& rows, int chunk,
                                               const float (&values)[2][kOwn]) const {
  const int left = channels_left - static_cast<int>(kOwn * at.row);
  const int first = token(chunk, 2 * at.column), second = first ^ 1;
  rows.each_of(first, second, (warp * kUnit + kOwn * at.row) * sizeof(T), [&](int p, char* to) {
    if ((p == 0 ? first : second) >= length || left <= 0) return;
    if constexpr (kAligned) {
      *reinterpret_cast<uint32_t*>(to) = pack<T>(values[p][0], values[p][1]);
    } else {
#pragma unroll
      for (int c = 0; c < kOwn; ++c) {
        if (c < left) reinterpret_cast<T*>(to)[c] = from_float<T>(values[p][c]);
      }
    }
  });
}

}  // namespace
}  // namespace vim::ops::scan::cuda
