// Where a walk of the backward scan for float begins and ends, and what it leaves to others.
#pragma once

#include "ops/selective_scan/cuda_backward_float_walker.cuh"

namespace vim::ops::scan::cuda {
namespace {

template <bool kPaired>
__device__ void Walker<kPaired>::init() {
  const Inputs<float>& in = args.work.in;
  length = static_cast<int>(in.length);
  chunks = static_cast<int>(chunks_of(length));
  step = dir.reverse ? -1 : 1;
  gates = direction == 0 && args.state_begin == 0 && in.z.data != nullptr;
  const int channels = static_cast<int>(in.channels);
  const int first = (channel_block * args.plan.warps + warp) * kWarp;
  inside = first + lane < channels;
  channel = min(first + lane, channels - 1);
  const int wanted = first + 2 * (lane % 16);
  const int pair = min(wanted, kPaired ? channels - 2 : channels - 1);
  pair_inside = wanted < channels;
  pair_second = pair + 1 < channels;
  of_pair = static_cast<uint32_t>(pair * sizeof(float));
  u = Bytes<const float>(dir.u, sample), delta = Bytes<const float>(dir.delta, sample);
  z = Bytes<const float>(in.z, sample);
  grad_out = Bytes<const float>(args.work.grad_out, sample);
  sum = Bytes<const float>(saved_sum(in, args.work.saved), sample);
  const int state = static_cast<int>(in.state) - args.state_begin;
  const float* row = dir.A + static_cast<int64_t>(channel) * in.state + args.state_begin;
#pragma unroll
  for (int n = 0; n < kBlock; ++n) {
    A[n] = n < state ? row[n] * kLog2e : 0.0f;
    g[n] = dA[n] = 0.0f;
  }
  D = dir.D == nullptr ? 0.0f : dir.D[channel];
  dD = dbias = 0.0f;
  pair_bias = {0, 0};
  if (dir.delta_bias != nullptr) {
    pair_bias = {dir.delta_bias[pair], dir.delta_bias[pair + pair_second]};
  }
  for (int w = args.plan.warps + warp; w < kMaxWarps; w += args.plan.warps) {  // nobody's rows
    for (int i = lane; i < 2 * kChunk * kRows; i += kWarp) {
      block.rows[i / (kChunk * kRows)][w][i / kRows % kChunk][i % kRows] = 0.0f;
    }
  }
}

// The gradient that the later segments hand to the end of this one.
template <bool kPaired>
__device__ void Walker<kPaired>::enter() {
  const int64_t channels = args.work.in.channels;
  const int64_t begin = args.part_of(direction, sample, segment + 1);
  for (int64_t p = args.part_of(direction, sample, args.plan.segments) - 1; p >= begin; --p) {
    const int64_t at = p * channels + channel;
    const float decay = args.decay[at];
    const float4* added = reinterpret_cast<const float4*>(args.entering + at * kBlock);
#pragma unroll
    for (int n = 0; n < kBlock; n += 4) {
      const float4 four = added[n / 4];
      g[n] = fmaf(exp2_approx(decay * A[n]), g[n], four.x);
      g[n + 1] = fmaf(exp2_approx(decay * A[n + 1]), g[n + 1], four.y);
      g[n + 2] = fmaf(exp2_approx(decay * A[n + 2]), g[n + 2], four.z);
      g[n + 3] = fmaf(exp2_approx(decay * A[n + 3]), g[n + 3], four.w);
    }
  }
}

template <bool kPaired>
__device__ void Walker<kPaired>::store_channels() const {
  if (!inside) return;
  const Inputs<float>& in = args.work.in;
  float* to =
      args.channels +
      ((static_cast<int64_t>(sample) * args.plan.segments + segment) * in.directions + direction) *
          kParts * in.channels +
      channel;
#pragma unroll
  for (int n = 0; n < kBlock; ++n) to[n * in.channels] = dA[n];
  to[kBlock * in.channels] = dD;
  to[(kBlock + 1) * in.channels] = dbias;
}

}  // namespace
}  // namespace vim::ops::scan::cuda
