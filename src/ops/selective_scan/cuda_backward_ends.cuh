// Where a walk of the backward scan begins and ends, and what it leaves to others.
#pragma once

#include <new>

#include "ops/selective_scan/cuda_backward_walker.cuh"

namespace vim::ops::scan::cuda {
namespace {

template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::init(const Item& item) {
  const Place at;
  const Inputs<T>& in = args.work.in;
  const Direction<T>& dir = in.direction[item.direction];
  length = static_cast<int>(in.length);
  chunks = static_cast<int>(chunks_of(length));
  flip = dir.reverse ? kChunk - 1 : 0;
  gates = item.direction == 0 && args.state_begin == 0 && in.z.data != nullptr;
  const int channels = static_cast<int>(in.channels);
  const int unit = (item.channel_block * args.plan.warps + warp) * kUnit;
  channels_left = channels - unit;
  const int state = static_cast<int>(in.state) - args.state_begin;
#pragma unroll
  for (int c = 0; c < kOwn; ++c) {
    const int channel = min(unit + static_cast<int>(kOwn * at.row) + c, channels - 1);
    const float* of_channel = dir.A + static_cast<int64_t>(channel) * in.state + args.state_begin;
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      A[c][i] = state_of(at, i) < state ? of_channel[state_of(at, i)] * kLog2e : 0.0f;
      g[c][i] = dA[c][i] = 0.0f;
    }
    dD[c] = dbias[c] = 0.0f;
  }
  if (at.lane < kUnit) {
    const int channel = min(unit + static_cast<int>(at.lane), channels - 1);
    memory.D[at.lane] = dir.D == nullptr ? 0.0f : dir.D[channel];
    memory.bias[at.lane] = dir.delta_bias == nullptr ? 0.0f : dir.delta_bias[channel];
  }
  // Nobody's sums.
  for (int w = args.plan.warps + warp; w < kBackwardWarps<T>; w += args.plan.warps) {
    for (int i = at.lane; i < 2 * kChunk * kRows; i += kWarp) {
      block.rows[i / (kChunk * kRows)][w][i / kRows % kChunk][i % kRows] = 0.0f;
    }
  }
  if (threadIdx.x == 0) new (block.sources) Sources(find_sources(item));
  __syncthreads();
}

template <class T, bool kAligned>
__device__ Sources Walker<T, kAligned>::find_sources(const Item& item) const {
  const Inputs<T>& in = args.work.in;
  const Direction<T>& dir = in.direction[item.direction];
  const Gradients<T>& grad = args.work.grad[item.direction];
  const int64_t first = static_cast<int64_t>(item.channel_block) * args.plan.warps * kUnit;
  const int64_t padded = padded_state(in.state), walk = item.direction * in.batch + item.sample;
  const Rows<const Stored> states{
      static_cast<const Stored*>(args.work.saved) + first * padded + args.state_begin,
      checkpoints_of<T>(in.length) * in.channels * padded, in.channels * padded};
  const int64_t part =
      (item.direction * args.plan.channel_blocks + item.channel_block) * in.batch + item.sample;
  const auto of = [&](const auto& rows) { return Source(rows, item.sample, first); };
  return {of(dir.u),
          of(dir.delta),
          of(args.work.grad_out),
          of(in.z),
          of(saved_sum(in, args.work.saved)),
          of(args.work.grad_z),
          of(args.work.out),
          of(grad.u),
          of(grad.delta),
          Source(dir.B, item.sample, args.state_begin),
          Source(dir.C, item.sample, args.state_begin),
          Source(states, walk),
          Source(Rows<float>{args.rows, in.length * kRows, kRows}, part),
          Source(Rows<float2>{args.unfinished, in.length * in.channels, in.channels}, walk, first)};
}

// The gradient that the later segments hand to the end of this one.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::enter(const Item& item) {
  const Place at;
  const int channels = static_cast<int>(args.work.in.channels);
  const int unit = (item.channel_block * args.plan.warps + warp) * kUnit;
  const int64_t begin = args.part_of(item.direction, item.sample, item.segment + 1);
  const int64_t end = args.part_of(item.direction, item.sample, args.plan.segments);
#pragma unroll 4
  for (int64_t p = end - 1; p >= begin; --p) {
#pragma unroll
    for (int c = 0; c < kOwn; ++c) {
      const int64_t from =
          p * channels + min(unit + static_cast<int>(kOwn * at.row) + c, channels - 1);
      const float decay = args.decay[from];
      const auto* pairs = reinterpret_cast<const float2*>(args.entering + from * kBlock);
#pragma unroll
      for (int i = 0; i < kMine; i += 2) {
        const float2 added = pairs[state_of(at, i) / 2];
        g[c][i] = fmaf(exp2_approx(decay * A[c][i]), g[c][i], added.x);
        g[c][i + 1] = fmaf(exp2_approx(decay * A[c][i + 1]), g[c][i + 1], added.y);
      }
    }
  }
}

// What one block leaves to the next of a walk that both share.
template <class T, bool kAligned>
template <class Each>
__device__ void Walker<T, kAligned>::each_carried(const Each& each) {
#pragma unroll
  for (int c = 0; c < kOwn; ++c) {
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      each(c * kMine + i, g[c][i]);
      each((kOwn + c) * kMine + i, dA[c][i]);
    }
    each(kBlock + c, dD[c]), each(kBlock + kOwn + c, dbias[c]);
  }
  static_assert(kCarried == kBlock + 2 * kOwn && kBlock == 2 * kOwn * kMine);
}
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::leave(int64_t slot) {
  float* const to = args.carried + slot * kCarried * blockDim.x + threadIdx.x;
  each_carried([&](int i, float& value) { to[i * blockDim.x] = value; });
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) atomicExch(args.left + slot, 1);
}
// Blocks start in the order of their numbers, so what is waited for is on its way.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::take(int64_t slot) {
  if (threadIdx.x == 0) {
    while (atomicAdd(args.left + slot, 0) == 0) __nanosleep(200);
    __threadfence();
  }
  __syncthreads();
  const float* const from = args.carried + slot * kCarried * blockDim.x + threadIdx.x;
  each_carried([&](int i, float& value) { value = __ldcg(from + i * blockDim.x); });
}

template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::store_channels(const Item& item) {
  const Place at;
  const int64_t channels = args.work.in.channels;
  const int64_t part = (static_cast<int64_t>(item.sample) * args.plan.segments + item.segment) *
                           args.work.in.directions +
                       item.direction;
  float* const to =
      args.channels + part * kParts * channels + (channels - channels_left) + kOwn * at.row;
#pragma unroll
  for (int c = 0; c < kOwn; ++c) {
    float sums[] = {dD[c], dbias[c]};
#pragma unroll
    for (float& sum : sums) {
      sum += __shfl_xor_sync(~0u, sum, 1);
      sum += __shfl_xor_sync(~0u, sum, 2);
    }
    if (static_cast<int>(kOwn * at.row) + c >= channels_left) continue;
#pragma unroll
    for (int i = 0; i < kMine; ++i) to[state_of(at, i) * channels + c] = dA[c][i];
    if (at.column == 0)
      to[kBlock * channels + c] = sums[0], to[(kBlock + 1) * channels + c] = sums[1];
  }
}

}  // namespace
}  // namespace vim::ops::scan::cuda
