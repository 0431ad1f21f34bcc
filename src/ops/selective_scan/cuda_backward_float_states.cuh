// Steps 2 to 6 of the backward scan for float: the states anew, the way back through them, and the
// sums over channels.
#pragma once

#include "ops/selective_scan/cuda_backward_float_walker.cuh"

namespace vim::ops::scan::cuda {
namespace {

// Step 2, from the states in slot 0.
template <bool kPaired>
__device__ void Walker<kPaired>::recompute(const Loaded& from, int buffer) {
  float h[kBlock];
#pragma unroll
  for (int i = 0; i < kPieces; ++i) {
    const float4 four = memory.history[0][piece_at(lane, i)] = from.states[i];
    h[4 * i] = four.x, h[4 * i + 1] = four.y, h[4 * i + 2] = four.z, h[4 * i + 3] = four.w;
  }
#pragma unroll 2
  for (int k = 0; k < kChunk; ++k) {
    const float2 delta_u = memory.delta_u[k][lane];
    const float du = delta_u.x * delta_u.y;
    const float* const B = block.B_C[buffer][step > 0 ? k : kChunk - 1 - k];
#pragma unroll
    for (int n = 0; n < kBlock; n += 4) {
      const float4 b = *reinterpret_cast<const float4*>(B + n);
      h[n] = fmaf(exp2_approx(delta_u.x * A[n]), h[n], du * b.x);
      h[n + 1] = fmaf(exp2_approx(delta_u.x * A[n + 1]), h[n + 1], du * b.y);
      h[n + 2] = fmaf(exp2_approx(delta_u.x * A[n + 2]), h[n + 2], du * b.z);
      h[n + 3] = fmaf(exp2_approx(delta_u.x * A[n + 3]), h[n + 3], du * b.w);
      memory.history[k + 1][piece_at(lane, n / 4)] = {h[n], h[n + 1], h[n + 2], h[n + 3]};
    }
  }
}

// Steps 3 and 5: the sum over the warp's channels of history[t + 1] * factor[t], for each token t
// of the chunk and state, into one half of the warp's rows.
template <bool kPaired>
__device__ void Walker<kPaired>::sum_over_channels(int buffer, int half) {
  __syncwarp();
  float(*const rows)[kRows] = block.rows[buffer][warp];
  const int k = lane / 4, quarter = lane % 4;
  float4 total = {0, 0, 0, 0};
#pragma unroll 4
  for (int i = 0; i < kWarp; ++i) {
    const int c = (i + k) % kWarp;  // neighbouring tokens read different banks
    const float4 four = memory.history[k + 1][piece_at(c, quarter)];
    const float2 delta_u = memory.delta_u[k][c];
    const float factor = half == 0 ? delta_u.x * delta_u.y : memory.dy_slope[k][c].x;
    total.x = fmaf(four.x, factor, total.x);
    total.y = fmaf(four.y, factor, total.y);
    total.z = fmaf(four.z, factor, total.z);
    total.w = fmaf(four.w, factor, total.w);
  }
  *reinterpret_cast<float4*>(&rows[k][half * kBlock + quarter * 4]) = total;
  __syncwarp();
}

// Step 4. What du and ddelta are takes the place of dy and of the slope.
template <bool kPaired>
__device__ void Walker<kPaired>::descend(int chunk, int buffer) {
#pragma unroll 1
  for (int k = kChunk - 1; k >= 0; --k) {
    const float2 delta_u = memory.delta_u[k][lane], dy_slope = memory.dy_slope[k][lane];
    const float* const B = block.B_C[buffer][step > 0 ? k : kChunk - 1 - k];
    float4 before[kPieces];
#pragma unroll
    for (int i = 0; i < kPieces; ++i) before[i] = memory.history[k][piece_at(lane, i)];
    float2 through_B = {0, 0}, through_A = {0, 0};  // two chains of sums
#pragma unroll
    for (int n = 0; n < kBlock; n += 4) {
      const float4 b4 = *reinterpret_cast<const float4*>(B + n);
      const float4 c4 = *reinterpret_cast<const float4*>(B + kBlock + n);
      const float b[] = {b4.x, b4.y, b4.z, b4.w}, c[] = {c4.x, c4.y, c4.z, c4.w};
      const float4& h4 = before[n / 4];
      const float h[] = {h4.x, h4.y, h4.z, h4.w};
      float g_now[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float now = g_now[j] = fmaf(c[j], dy_slope.x, g[n + j]);
        float& sum_B = j % 2 == 0 ? through_B.x : through_B.y;
        float& sum_A = j % 2 == 0 ? through_A.x : through_A.y;
        sum_B = fmaf(b[j], now, sum_B);
        g[n + j] = now * exp2_approx(delta_u.x * A[n + j]);
        const float q = g[n + j] * h[j];
        sum_A = fmaf(A[n + j], q, sum_A);
        dA[n + j] = fmaf(delta_u.x, q, dA[n + j]);
      }
      memory.history[k + 1][piece_at(lane, n / 4)] = {g_now[0], g_now[1], g_now[2], g_now[3]};
    }
    float2 sums = {through_B.x + through_B.y, through_A.x + through_A.y};
    if (args.unfinished != nullptr) pass_on(token(chunk, k), sums);
    const float du = fmaf(delta_u.x, sums.x, D * dy_slope.x);
    const float ddelta = fmaf(delta_u.y, sums.x, sums.y * kLn2) * dy_slope.y;  // A is times log2 e
    dD = fmaf(delta_u.y, dy_slope.x, dD);
    dbias += ddelta;
    memory.dy_slope[k][lane] = {du, ddelta};
  }
  if (args.state_begin + kBlock < args.work.in.state) return;
  __syncwarp();
  const Gradients<float>& grad = args.work.grad[direction];
  const Bytes<float> grad_u(grad.u, sample), grad_delta(grad.delta, sample);
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    const int k = 2 * i + lane / 16, t = token(chunk, k);
    const float4 both = *reinterpret_cast<const float4*>(&memory.dy_slope[k][lane % 16 * 2]);
    if (t >= length || !pair_inside) continue;
    store_pair<kPaired>(grad_u.at(t, of_pair), {both.x, both.z}, pair_second);
    store_pair<kPaired>(grad_delta.at(t, of_pair), {both.y, both.w}, pair_second);
  }
}

// Adds what earlier blocks of states have left, and leaves it to the next.
template <bool kPaired>
__device__ void Walker<kPaired>::pass_on(int t, float2& sums) const {
  if (t >= length || !inside) return;
  const Inputs<float>& in = args.work.in;
  float2& held =
      args.unfinished[((direction * in.batch + sample) * in.length + t) * in.channels + channel];
  if (args.state_begin > 0) sums.x += held.x, sums.y += held.y;
  held = sums;
}

// Step 6, for a chunk that every warp of the block has finished.
template <bool kPaired>
__device__ void Walker<kPaired>::store_rows(int walked, int buffer) const {
  const Inputs<float>& in = args.work.in;
  const int chunk = chunk_at(walked);
  float* const to =
      args.rows +
      (((direction * args.plan.channel_blocks + channel_block) * in.batch + sample) * in.length +
       chunk * kChunk) *
          kRows;
#pragma unroll 1
  for (int at = threadIdx.x; at < kChunk * kRows / 2; at += args.plan.warps * kWarp) {
    const int k = at / (kRows / 2), row = at % (kRows / 2) * 2;
    const int t = step > 0 ? k : kChunk - 1 - k;  // in the chunk
    float2 total = {0, 0};
#pragma unroll
    for (int w = 0; w < kMaxWarps; ++w) {
      const float2 more = *reinterpret_cast<const float2*>(&block.rows[buffer][w][k][row]);
      total.x += more.x, total.y += more.y;
    }
    if (chunk * kChunk + t < length) *reinterpret_cast<float2*>(to + t * kRows + row) = total;
  }
}

}  // namespace
}  // namespace vim::ops::scan::cuda
