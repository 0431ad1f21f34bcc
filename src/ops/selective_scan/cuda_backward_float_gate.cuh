// Step 1 of the backward scan for float: softplus and gate, and the gate's own gradient. Before it,
// the inputs of a chunk on their way to registers.
#pragma once

#include "ops/selective_scan/cuda_backward_float_walker.cuh"

namespace vim::ops::scan::cuda {
namespace {

// The inputs of a chunk, loaded while the chunk before it is worked on.
template <bool kPaired>
__device__ void Walker<kPaired>::load(int walked, Loaded& to) const {
  const Inputs<float>& in = args.work.in;
  const int chunk = chunk_at(walked);
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    const int t = min(token(chunk, 2 * i + lane / 16), length - 1);
    to.u[i] = load_pair<kPaired>(u.at(t, of_pair), pair_second);
    to.delta[i] = load_pair<kPaired>(delta.at(t, of_pair), pair_second);
    to.grad[i] = load_pair<kPaired>(grad_out.at(t, of_pair), pair_second);
    if (in.z.data != nullptr) to.z[i] = load_pair<kPaired>(z.at(t, of_pair), pair_second);
    if (gates) to.sum[i] = load_pair<kPaired>(sum.at(t, of_pair), pair_second);
  }
  const int64_t checkpoint =
      ((direction * in.batch + sample) * chunks + chunk) * in.channels + channel;
  const auto* states =
      reinterpret_cast<const float4*>(static_cast<const float*>(args.work.saved) +
                                      checkpoint * padded_state(in.state) + args.state_begin);
#pragma unroll
  for (int i = 0; i < kPieces; ++i) to.states[i] = states[i];
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    // Four states of B or C of a token a lane, shared out over the block.
    const int at = j * args.plan.warps * kWarp + threadIdx.x;
    if (at >= kChunk * kRows / 4) break;
    const int t = min(chunk * kChunk + at / 8, length - 1);
    const float* from =
        Bytes<const float>(at & 4 ? dir.C : dir.B, sample).at(t, 0) + args.state_begin;
    to.B_C[j].load(from, at % 4 * 4, static_cast<int>(in.state) - args.state_begin, args.wide_B_C);
  }
}

// B and C to where all warps of the block read them.
template <bool kPaired>
__device__ void Walker<kPaired>::stage_B_C(const Loaded& from, int buffer) const {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const int at = j * args.plan.warps * kWarp + threadIdx.x;
    if (at >= kChunk * kRows / 4) break;
    *reinterpret_cast<float4*>(&block.B_C[buffer][at / 8][at % 8 * 4]) = from.B_C[j].numbers();
  }
}

template <bool kPaired>
__device__ void Walker<kPaired>::gate(const Loaded& from, int chunk) {
  const Inputs<float>& in = args.work.in;
  float2 step_of[kItems], slope[kItems], dy[kItems];
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    step_of[i] = unpack<float>(from.delta[i]);
    step_of[i].x += pair_bias.x, step_of[i].y += pair_bias.y;
    slope[i] = {1, 1};
    dy[i] = unpack<float>(from.grad[i]);
    dy[i].x *= in.scale, dy[i].y *= in.scale;
  }
  if (in.delta_softplus) {
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      softplus_and_slope(step_of[i].x, slope[i].x);
      softplus_and_slope(step_of[i].y, slope[i].y);
    }
  }
  if (in.z.data != nullptr) {
    float2 open[kItems];
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const float2 gate = unpack<float>(from.z[i]);
      open[i] = {sigmoid(gate.x), sigmoid(gate.y)};
    }
    if (gates) store_gate(from, chunk, dy, open);
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const float2 gate = unpack<float>(from.z[i]);
      dy[i].x *= gate.x * open[i].x, dy[i].y *= gate.y * open[i].y;
    }
  }
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    const int k = 2 * i + lane / 16, p = lane % 16;
    float2 input = unpack<float>(from.u[i]);
    // What is none changes no state, takes no gradient and gives none.
    if (token(chunk, k) >= length || !pair_inside) {
      step_of[i].x = input.x = dy[i].x = slope[i].x = 0;
    }
    if (token(chunk, k) >= length || !pair_inside || !pair_second) {
      step_of[i].y = input.y = dy[i].y = slope[i].y = 0;
    }
    *reinterpret_cast<float4*>(&memory.delta_u[k][2 * p]) = {step_of[i].x, input.x, step_of[i].y,
                                                             input.y};
    *reinterpret_cast<float4*>(&memory.dy_slope[k][2 * p]) = {dy[i].x, slope[i].x, dy[i].y,
                                                              slope[i].y};
  }
}

// dz, and `out` where it is wanted; `dy` is the gradient behind the gate.
template <bool kPaired>
__device__ void Walker<kPaired>::store_gate(const Loaded& from, int chunk, const float2* dy,
                                            const float2* open) const {
  const Bytes<float> grad_z(args.work.grad_z, sample), out(args.work.out, sample);
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    const int t = token(chunk, 2 * i + lane / 16);
    if (t >= length || !pair_inside) continue;
    const float2 gate = unpack<float>(from.z[i]), total = unpack<float>(from.sum[i]);
    const float2 silu = {gate.x * open[i].x, gate.y * open[i].y};
    // silu' = sigmoid (1 + z (1 - sigmoid))
    const float2 dz = {dy[i].x * total.x * fmaf(silu.x, 1.0f - open[i].x, open[i].x),
                       dy[i].y * total.y * fmaf(silu.y, 1.0f - open[i].y, open[i].y)};
    store_pair<kPaired>(grad_z.at(t, of_pair), dz, pair_second);
    if (out.base == nullptr) continue;
    const float scale = args.work.in.scale;
    store_pair<kPaired>(out.at(t, of_pair), {scale * total.x * silu.x, scale * total.y * silu.y},
                        pair_second);
  }
}

}  // namespace
}  // namespace vim::ops::scan::cuda
