// How the loading warps of the split forward scan turn delta and u into what is scanned: see
// cuda_forward_split.cu.
#pragma once

#include "ops/selective_scan/cuda_split_walk.cuh"

namespace vim::ops::scan::cuda::split {

// Products read the upper 11 bits of a number, which are less than it by 2^-11.5 of it on average:
// what they are given is more by so much. Unlike where bits are rounded, a NaN stays one.
template <class T>
inline constexpr float kBalance = kByProducts<T> ? 1.00035f : 1.0f;

// kBalance log(1 + e^(x / kBalance)). For bf16 log(1 + e) / e is a polynomial, of which less than
// 6e-5 is missing.
template <class T>
__device__ __forceinline__ float softplus_of(float x) {
  if constexpr (!kByProducts<T>) return softplus(x);
  constexpr float kAll = kBalance<T>;
  const float e = exp2_approx(-fabsf(x) * (kLog2e / kAll));
  float p = kAll * 0.0413473017f;
  p = fmaf(p, e, kAll * -0.157427206f);
  p = fmaf(p, e, kAll * 0.306300929f);
  p = fmaf(p, e, kAll * -0.496977805f);
  p = fmaf(p, e, kAll * 0.999943278f);
  return fmaf(p, e, fmaxf(x, 0.0f));
}

// From delta with its bias, and u, to what is scanned.
template <class T>
__device__ __forceinline__ void finish_steps(const Args<T>& args, float (&step)[kRow],
                                             float (&input)[kRow]) {
  if (args.work.in.delta_softplus) {
#pragma unroll
    for (int i = 0; i < kRow; ++i) step[i] = softplus_of<T>(step[i]);
  }
#pragma unroll
  for (int i = 0; i < kRow; ++i) input[i] *= step[i];
}

// Turns delta and u into what is scanned, of every kTeams-th tile.
template <class T, int kParts, int kRows, bool kAligned, int kTeams>
struct StepFiller {
  const Args<T>& args;
  DirectionMemory<T, kParts, kRows>& shared;
  Tiles tiles;
  Place<kRows> place;
  int missing;  // the tile in which the lane has no token
  Walk<const T, kAligned> u, delta;
  float bias[kRow];

  struct Loaded {
    Channels<T> u, delta;
  };

  __device__ void init(int direction, int sample, int first_of_block, int team) {
    const Direction<T>& dir = args.work.in.direction[direction];
    const int channels = static_cast<int>(args.work.in.channels);
    const int channel = first_of_block + place.row * kRow, token = tiles.token(team, place.k);
    const int tokens = tiles.reverse ? -kTeams * kTile : kTeams * kTile;
    missing = tiles.without(place.k);
    u.init(dir.u, sample, token, tokens, channel, channels);
    delta.init(dir.delta, sample, token, tokens, channel, channels);
    load_numbers(dir.delta_bias, channel, channels, bias);
#pragma unroll
    for (int i = 0; i < kRow; ++i) bias[i] *= kBalance<T>;
  }
  // Where there is no token, what an earlier tile had there stays, or zeros, as for B and C: before
  // the first token they add nothing to a state, and behind the last it does not matter any more.
  __device__ void load(int walked, Loaded& to) {
    if (walked < tiles.count && walked != missing) u.load(to.u), delta.load(to.delta);
    u.advance(), delta.advance();
  }
  __device__ void compute(const Loaded& from, float (&step)[kRow], float (&input)[kRow]) const {
    from.delta.unpack_to(step), from.u.unpack_to(input);
#pragma unroll
    for (int i = 0; i < kRow; ++i) step[i] = fmaf(step[i], kBalance<T>, bias[i]);
    finish_steps(args, step, input);
  }
  // What is loaded lies in other registers than what is worked on, so that nothing waits for it.
  __device__ void compute_and_load(const Loaded& now, float (&step)[kRow], float (&input)[kRow],
                                   int next_walked, Loaded& next) {
    load(next_walked, next), compute(now, step, input);
  }
  __device__ void store(int slot, const float (&step)[kRow], const float (&input)[kRow]) const {
    auto& delta_of = shared.tile[slot].delta[place.row];
    auto& input_of = shared.tile[slot].input[place.row];
#pragma unroll
    for (int i = 0; i < kRow; ++i) {
      delta_of.of[i][delta_of.place(place.k)] = step[i];
      input_of.of[i][input_of.place(place.k)] = input[i];
    }
  }
};

// The same for steps in place of delta, whose products with the weights are matrix instructions. A
// warp has a row of channels: the t-th lane of group g the channels 2t and 2t + 1 of tokens g,
// g + 8, g + 16 and g + 24, which is how such an instruction leaves its result, and what belongs to
// them of u. The order of the depth is free: the lane has numbers 4t to 4t + 3.
template <class T, int kParts, int kRows, int kTeams>
struct ProductFiller {
  static constexpr int kOctet = 8, kTokens = kTile / kOctet;

  const Args<T>& args;
  DirectionMemory<T, kParts, kRows>& shared;
  Tiles tiles;
  int row;
  int g = threadIdx.x % kWarp / 4, t = threadIdx.x % 4;
  const char *u = nullptr, *steps = nullptr;  // of the next tile to be loaded
  int u_stride = 0, steps_stride = 0;         // bytes from one of the lane's tokens to the next
  uint2 weight = {};
  float bias[2] = {};

  struct Loaded {
    uint2 steps[kTokens];
    Word<T> u[kTokens];
  };

  __device__ void init(int direction, int sample, int first_of_block, int team) {
    const Direction<T>& dir = args.work.in.direction[direction];
    const Steps<T>& from = args.work.steps[direction];
    const int channels = static_cast<int>(args.work.in.channels);
    // Nobody stores what comes of a row that is not there.
    const int first = min(first_of_block + row * kRow, channels - kRow);
    const int64_t token = tiles.token(team, g);
    const auto start = [&](const Rows<const T>& rows, int column) {
      return reinterpret_cast<const char*>(rows.data + sample * rows.batch_stride +
                                           token * rows.token_stride + column);
    };
    const auto stride = [&](const Rows<const T>& rows) {
      return static_cast<int>(rows.token_stride * sizeof(T)) * (tiles.reverse ? -kOctet : kOctet);
    };
    u = start(dir.u, first + 2 * t), u_stride = stride(dir.u);
    steps = start(from.rows, 4 * t), steps_stride = stride(from.rows);
    weight = *reinterpret_cast<const uint2*>(from.weight + (first + g) * kStepWidth + 4 * t);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      bias[i] = dir.delta_bias == nullptr ? 0.0f : dir.delta_bias[first + 2 * t + i] * kBalance<T>;
    }
  }
  __device__ void load_token(int j, Loaded& to) const {
    to.u[j] = *reinterpret_cast<const Word<T>*>(u + static_cast<int64_t>(j) * u_stride);
    to.steps[j] = *reinterpret_cast<const uint2*>(steps + static_cast<int64_t>(j) * steps_stride);
  }
  // Zeros where there is no token.
  __device__ void load(int walked, Loaded& to) {
    to = {};
    if (walked < tiles.count) {
#pragma unroll
      for (int j = 0; j < kTokens; ++j) {
        if (walked != tiles.boundary || tiles.token(walked, g + j * kOctet) < tiles.length) {
          load_token(j, to);
        }
      }
    }
    u += static_cast<int64_t>(u_stride) * (kTokens * kTeams);
    steps += static_cast<int64_t>(steps_stride) * (kTokens * kTeams);
  }
  __device__ void compute(const Loaded& from, float (&step)[kRow], float (&input)[kRow]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint2 low = from.steps[2 * half], high = from.steps[2 * half + 1];
      const uint32_t a[4] = {low.x, high.x, low.y, high.y};
      float sums[4] = {};
      multiply(sums, a, weight.x, weight.y, T{});
#pragma unroll
      for (int i = 0; i < 4; ++i) step[4 * half + i] = sums[i];
    }
#pragma unroll
    for (int i = 0; i < kRow; i += 2) {
      const float2 delta = unpack<T>(pack<T>(step[i], step[i + 1])),
                   both = unpack<T>(from.u[i / 2]);
      step[i] = fmaf(delta.x, kBalance<T>, bias[0]);
      step[i + 1] = fmaf(delta.y, kBalance<T>, bias[1]);
      input[i] = both.x, input[i + 1] = both.y;
    }
    finish_steps(args, step, input);
  }
  // There are no registers for two tiles at once.
  __device__ void compute_and_load(const Loaded& now, float (&step)[kRow], float (&input)[kRow],
                                   int next_walked, Loaded& next) {
    compute(now, step, input), load(next_walked, next);
  }
  __device__ void store(int slot, const float (&step)[kRow], const float (&input)[kRow]) const {
    auto& delta_of = shared.tile[slot].delta[row];
    auto& input_of = shared.tile[slot].input[row];
#pragma unroll
    for (int i = 0; i < kRow; ++i) {
      const int channel = 2 * t + i % 2, k = g + i / 2 * kOctet;
      delta_of.of[channel][delta_of.place(k)] = step[i];
      input_of.of[channel][input_of.place(k)] = input[i];
    }
  }
};

}  // namespace vim::ops::scan::cuda::split
