// Steps 2 to 6 of the backward scan: what is done once for each state, and its sums.
#pragma once

#include "ops/selective_scan/cuda_backward_walker.cuh"

namespace vim::ops::scan::cuda {
namespace {

// x += v b for the lane's channels and states: v of its channels in the p-th of its tokens, b of
// the states `row` and `row` + 8 in that token, or zero where it is another lane's token that is
// meant.
__device__ __forceinline__ void add_product(float (&x)[kOwn][kMine], const float (&v)[kOwn][2],
                                            int p, const float (&b)[2]) {
#pragma unroll
  for (int s = 0; s < 2; ++s) {
    multiply(x[0][2 * s], x[0][2 * s + 1], x[1][2 * s], x[1][2 * s + 1], v[0][p], v[1][p], b[s]);
  }
}

// What a lane has of its channels' states in pairs: of both channels the first pairs, then the
// second. All lanes' are the operand of a product, 16 channels by 16 states.
__device__ __forceinline__ void pack_states(const float (&x)[kOwn][kMine], uint32_t (&words)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    words[i] = pack<Stored>(x[i % 2][i / 2 * 2], x[i % 2][i / 2 * 2 + 1]);
  }
}
__device__ __forceinline__ void unpack_states(const uint32_t (&words)[4], float (&x)[kOwn][kMine]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = unpack<Stored>(words[i]);
    x[i % 2][i / 2 * 2] = pair.x, x[i % 2][i / 2 * 2 + 1] = pair.y;
  }
}

// The B and C of a chunk; `address` is that of the lane's rows of matrices.
template <class T>
__device__ __forceinline__ void load_B_C(uint32_t address, Chunk& of) {
  uint32_t pairs[4];
  load_transposed(address, pairs);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float2 B = unpack<T>(pairs[i]), C = unpack<T>(pairs[2 + i]);
    of.B[i][0] = B.x, of.B[i][1] = B.y, of.C[i][0] = C.x, of.C[i][1] = C.y;
  }
  load_matrices(address, pairs);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float2 B = unpack<T>(pairs[i]);
    of.B_pairs[i] = std::is_same_v<T, Stored> ? pairs[i] : pack<Stored>(B.x, B.y);
  }
}

// The decays of the lane's channels and states in a step.
__device__ __forceinline__ void decay(const float* steps, const float (&A)[kOwn][kMine],
                                      float (&to)[kOwn][kMine]) {
  const float2 now = *reinterpret_cast<const float2*>(steps);
#pragma unroll
  for (int i = 0; i < kMine; ++i) {
    to[0][i] = exp2_approx(now.x * A[0][i]), to[1][i] = exp2_approx(now.y * A[1][i]);
  }
}

// The states from before to behind a chunk; keeps those behind each token in the history, `base`
// slots from its beginning. Decays are a token ahead, so that special functions have company.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::ascend(int base, float (&h)[kOwn][kMine], const Chunk& of) {
  const Place at;
  const float* steps = &memory.delta[0][kOwn * at.row];
  uint32_t slot = history(base + 1) + block.offsets.own_matrices[at.lane];
  float decays[2][kOwn][kMine];
  decay(steps, A, decays[0]);
#pragma unroll
  for (int j = 0; j < kChunk / 2; ++j, slot += 2 * kSlot) {
    const bool mine = static_cast<int>(at.column) == j;
#pragma unroll
    for (int p = 0; p < 2; ++p) {
      steps += kStepRow;
      decay(steps, A, decays[1 - p]);  // behind the last token, of nothing: the compiler drops it
#pragma unroll
      for (int i = 0; i < kOwn * kMine; ++i) {
        h[i / kMine][i % kMine] *= decays[p][i / kMine][i % kMine];
      }
      add_product(h, of.du, p, {mine ? of.B[0][p] : 0.0f, mine ? of.B[1][p] : 0.0f});
      uint32_t words[4];
      pack_states(h, words);
      store_matrices(slot + p * kSlot, words);
    }
  }
}

// The states before a span.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::begin_span(float (&h)[kOwn][kMine]) {
  const Place at;
  uint32_t states[4];
  wait_for_copies();
  __syncwarp();
  load_matrices(history(kStatesSlot) + block.offsets.own_matrices[at.lane], states);
  store_matrices(history(0) + block.offsets.own_matrices[at.lane], states);
  unpack_states(states, h);
}
// Step 2 for the first chunk of a span whose second is walked now.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::ascend_first(int chunk, float (&h)[kOwn][kMine]) {
  const Place at;
  const RawSteps& raw = memory.steps();
  float now[2][kOwn], slope[2][kOwn], u[2][kOwn];
  Chunk of;
  load_steps(at, raw, chunk, now, slope, u);
#pragma unroll
  for (int i = 0; i < 4; ++i) of.du[i % 2][i / 2] = now[i / 2][i % 2] * u[i / 2][i % 2];
  load_B_C<T>(shared_address(raw.B_C) + block.offsets.B_C_matrices[at.lane], of);
  __syncwarp();
  ascend(0, h, of);
}

// The operands of a chunk's tokens for `sum_of_slot`.
__device__ __forceinline__ void load_operand(const uint32_t (&operand)[kChunk][kOperandRow],
                                             const Place& at, uint32_t (&b)[2]) {
  b[0] = operand[at.row][at.column], b[1] = operand[at.row][4 + at.column];
}
// The sum over the warp's channels of a slot of the history times the operands of all tokens: of
// states `row` and `row` + 8 at tokens 2 * column and 2 * column + 1. `address` is that of the
// lane's rows of 16 states by 16 channels.
__device__ __forceinline__ void sum_of_slot(const uint32_t (&b)[2], uint32_t address,
                                            float (&d)[4]) {
  uint32_t a[4];
  load_transposed(address, a);
  d[0] = d[1] = d[2] = d[3] = 0;
  multiply(d, a[0], a[1], a[2], a[3], b[0], b[1]);
}
// Those of tokens 2 * j and 2 * j + 1 with their own operands; the lanes with column j keep them.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::sum_two(const Place& at, const uint32_t (&b)[2], int j,
                                             uint32_t address, float (&kept)[4]) const {
  float even[4], odd[4];
  sum_of_slot(b, address, even);
  sum_of_slot(b, address + kSlot, odd);
  if (static_cast<int>(at.column) != j) return;
  kept[0] = even[0], kept[1] = odd[1], kept[2] = even[2], kept[3] = odd[3];
}
// dB (which = 0) or dC (which = 1) of the warp's channels.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::put_sums(const Place& at, const float (&kept)[4], int which,
                                              int buffer) const {
  float* const to = &block.rows[buffer][warp][2 * at.column][which * kBlock + at.row];
  to[0] = kept[0], to[kRowStride] = kept[1], to[8] = kept[2], to[kRowStride + 8] = kept[3];
}
// Step 3.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::sum_over_channels(int base, int buffer) const {
  const Place at;
  uint32_t b[2];
  float kept[4];
  __syncwarp();
  load_operand(memory.dy, at, b);
#pragma unroll
  for (int j = 0; j < kChunk / 2; ++j) {
    sum_two(at, b, j, history(base + 2 * j + 1) + block.offsets.state_matrices[at.lane], kept);
  }
  put_sums(at, kept, 1, buffer);
}

// Step 4, in which the first chunk of a span is fetched if the second is walked. dB of two tokens
// is summed while the next two are worked on; the first time there are none, and nothing is kept.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::descend(int walked, int base, bool fetches, int buffer,
                                             const Chunk& of) {
  const Place at;
  uint32_t du_of[2];
  float kept[4], through_B[4] = {}, through_A[4] = {};
  load_operand(memory.du, at, du_of);
  const float* steps = &memory.delta[kChunk - 2][kOwn * at.row];
  uint32_t own = history(base + kChunk - 2) + block.offsets.own_matrices[at.lane],
           sums = history(base + kChunk + 1) + block.offsets.state_matrices[at.lane];
#pragma unroll 1
  for (int j = kChunk / 2 - 1; j >= 0; --j) {
    __syncwarp();
    sum_two(at, du_of, j + 1, sums, kept);
    descend_token<1>(at, j, steps + kStepRow, own + kSlot, of, through_B, through_A);
    descend_token<0>(at, j, steps, own, of, through_B, through_A);
    steps -= 2 * kStepRow, own -= 2 * kSlot, sums -= 2 * kSlot;
    if (fetches && kChunk + 2 * j + 3 == kRawSlot) fetch(walked - 1);
  }
  __syncwarp();
  sum_two(at, du_of, 0, sums, kept);
  put_sums(at, kept, 0, buffer);
  finish(chunk_at(walked), of, through_B, through_A);
}
// Token 2 * j + p. `steps` are those of the lane's channels, `own` is where the states before it
// lie.
template <class T, bool kAligned>
template <int p>
__device__ void Walker<T, kAligned>::descend_token(const Place& at, int j, const float* steps,
                                                   uint32_t own, const Chunk& of,
                                                   float (&through_B)[4], float (&through_A)[4]) {
  const float2 both = *reinterpret_cast<const float2*>(steps);
  const float now[] = {both.x, both.y};
  uint32_t words[4];
  float before[kOwn][kMine], q[kOwn];
  load_matrices(own, words);
  unpack_states(words, before);
  const bool of_column = static_cast<int>(at.column) == j,
             of_row = static_cast<int>(at.row) == 2 * j + p;
  add_product(g, of.dy, p, {of_column ? of.C[0][p] : 0.0f, of_column ? of.C[1][p] : 0.0f});
  pack_states(g, words);
  store_matrices(own + kSlot, words);
  multiply(through_B, words[0], words[1], words[2], words[3], of_row ? of.B_pairs[0] : 0,
           of_row ? of.B_pairs[1] : 0);
#pragma unroll
  for (int c = 0; c < kOwn; ++c) {
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      g[c][i] *= exp2_approx(now[c] * A[c][i]);
      const float product = g[c][i] * before[c][i];
      q[c] = i == 0 ? A[c][i] * product : fmaf(A[c][i], product, q[c]);
      dA[c][i] = fmaf(now[c], product, dA[c][i]);
    }
  }
  multiply(through_A[0], through_A[1], through_A[2], through_A[3], q[0], q[1],
           of_row ? 1.0f : 0.0f);
}

// Step 5: du and ddelta of the lane's channels and tokens; their share in dD and dbias.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::finish(int chunk, const Chunk& of, const float (&through_B)[4],
                                            const float (&through_A)[4]) {
  const Place at;
  const float2 both = *reinterpret_cast<const float2*>(&memory.D[kOwn * at.row]);
  const float D[] = {both.x, both.y};
  float du[2][kOwn], ddelta[2][kOwn];
#pragma unroll
  for (int p = 0; p < 2; ++p) {
    const float2 steps =
        *reinterpret_cast<const float2*>(&memory.delta[2 * at.column + p][kOwn * at.row]);
    const float2 slopes = memory.slope[p][at.lane], inputs = unpack<T>(of.u[p]);
    const float now[] = {steps.x, steps.y}, slope[] = {slopes.x, slopes.y};
    const float u[] = {inputs.x, inputs.y};
#pragma unroll
    for (int c = 0; c < kOwn; ++c) {
      float2 sums = {through_B[2 * c + p], through_A[2 * c + p]};
      if constexpr (!kAligned) {
        // What earlier blocks of states have left is added, and left to the next.
        if (args.unfinished != nullptr && !is_missing(at, chunk, p, c)) {
          float2& held = unfinished_of(at, chunk, p)[c];
          if (args.state_begin > 0) sums.x += held.x, sums.y += held.y;
          held = sums;
        }
      }
      du[p][c] = fmaf(now[c], sums.x, D[c] * of.dy[c][p]);
      ddelta[p][c] = fmaf(u[c], sums.x, sums.y * kLn2) * slope[c];
      dD[c] = fmaf(u[c], of.dy[c][p], dD[c]);
      dbias[c] += ddelta[p][c];
    }
  }
  if (!kAligned && args.state_begin + kBlock < args.work.in.state) return;
  store_own(at, sources().grad_u, chunk, du);
  store_own(at, sources().grad_delta, chunk, ddelta);
}
template <class T, bool kAligned>
__device__ float2* Walker<T, kAligned>::unfinished_of(const Place& at, int chunk, int p) const {
  return reinterpret_cast<float2*>(sources().unfinished.at(
      token(chunk, 2 * at.column + p), (warp * kUnit + kOwn * at.row) * sizeof(float2)));
}

// Step 6, for a chunk that every warp of the block has finished.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::store_rows(int walked, int buffer) const {
  const int chunk = chunk_at(walked);
  wait(block.finished, rounds - 1);
  for (uint32_t at = threadIdx.x; at < kChunk * kRows; at += blockDim.x) {
    const uint32_t k = at / kRows, t = token(chunk, k);
    float total = 0;
#pragma unroll
    for (int w = 0; w < kBackwardWarps<T>; ++w) {
      total += block.rows[buffer][w][k][at % kRows];
    }
    if (t < length) *reinterpret_cast<float*>(sources().rows.at(t, at % kRows * 4)) = total;
  }
}

}  // namespace
}  // namespace vim::ops::scan::cuda
