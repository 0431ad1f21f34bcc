// The warps of the split forward scan that load and prepare: see cuda_forward_split.cu.
#pragma once

#include "ops/selective_scan/cuda_split_walk.cuh"

namespace vim::ops::scan::cuda::split {

__device__ __forceinline__ float rounded_to_upper_bits(float x) {
  return x == x ? __uint_as_float(__float_as_uint(x) + 0x1000u) : x;  // a NaN's bits would overflow
}

// log(1 + e^x) with a polynomial for log(1 + e) / e, of which less than 1e-5 is missing.
template <class T>
__device__ __forceinline__ float softplus_of(float x) {
  if constexpr (sizeof(T) == 4) return softplus(x);
  const float e = exp2_approx(-fabsf(x) * kLog2e);
  float p = -0.0238691494f;
  p = fmaf(p, e, 0.101222277f);
  p = fmaf(p, e, -0.210048676f);
  p = fmaf(p, e, 0.325206667f);
  p = fmaf(p, e, -0.499361366f);
  p = fmaf(p, e, 0.999991596f);
  return fmaf(p, e, fmaxf(x, 0.0f));
}

// Turns delta and u into what is scanned, of every kTeams-th tile.
template <class T, int kParts, int kRows, bool kAligned, int kTeams>
struct StepFiller {
  static constexpr int kPrefetched = 4;  // tiles

  const Args<T>& args;
  DirectionMemory<kParts, kRows>& shared;
  Tiles tiles;
  Place<kRows> place;
  Presence present;
  Walk<const T, kAligned> u, delta;
  float bias[kRow];

  struct Loaded {
    Channels<T> u, delta;
  };

  __device__ void init(const Direction<T>& dir, int sample, int first_of_block, int team) {
    const int channels = static_cast<int>(args.work.in.channels);
    const int channel = first_of_block + place.row * kRow, token = tiles.token(team, place.k);
    const int tokens = tiles.reverse ? -kTeams * kTile : kTeams * kTile;
    present = Presence(tiles, place.k, channel < channels);
    u.init(dir.u, sample, token, tokens, channel, channels);
    delta.init(dir.delta, sample, token, tokens, channel, channels);
    load_numbers(dir.delta_bias, channel, channels, bias);
  }
  __device__ void load(int walked, Loaded& to) {
    if (present(walked)) {
      u.load(to.u), delta.load(to.delta);
    } else {
      to.u = to.delta = {};  // adds nothing to a state, whose decay does not matter any more
    }
    if (present(walked + kPrefetched)) {
      u.prefetch(kPrefetched / kTeams), delta.prefetch(kPrefetched / kTeams);
    }
    u.advance(), delta.advance();
  }
  __device__ void compute(const Loaded& from, float (&step)[kRow], float (&input)[kRow]) const {
    from.delta.unpack_to(step), from.u.unpack_to(input);
#pragma unroll
    for (int i = 0; i < kRow; ++i) step[i] += bias[i];
    if (args.work.in.delta_softplus) {
#pragma unroll
      for (int i = 0; i < kRow; ++i) step[i] = softplus_of<T>(step[i]);
    }
#pragma unroll
    for (int i = 0; i < kRow; ++i) {
      input[i] *= step[i];
      if constexpr (std::is_same_v<T, __nv_bfloat16>) {
        step[i] = rounded_to_upper_bits(step[i]), input[i] = rounded_to_upper_bits(input[i]);
      }
    }
  }
  __device__ void store(int slot, const float (&step)[kRow], const float (&input)[kRow]) const {
    const auto store_row = [&](AllSteps<kRows>& all, const float(&from)[kRow]) {
      float* to;
      int pitch;
      if constexpr (kRows == 1) {
        to = &all.single.of[0][place.k][0], pitch = sizeof(all.single.of[0]) / sizeof(float);
      } else {
        to = &all.pair.of[0][place.k][place.row], pitch = sizeof(all.pair.of[0]) / sizeof(float);
        if constexpr (kRows == 3) {
          if (place.row == 2) to = &all.single.of[0][place.k][0], pitch /= 2;
        }
      }
#pragma unroll
      for (int i = 0; i < kRow; ++i) to[i * pitch] = from[i];
    };
    store_row(shared.tile[slot].delta, step), store_row(shared.tile[slot].input, input);
  }
};

// Lays out B and C of every kWarps-th four tokens, for 16 states; a lane has four states of a
// token.
template <class T, int kParts, int kRows, bool kAligned, int kWarps, int kTeams>
struct StateFiller {
  static constexpr int kTokens = 4, kUnits = kTile / kTokens;
  static constexpr int kOfWarp = (kUnits + kWarps - 1) / kWarps;

  const Args<T>& args;
  DirectionMemory<kParts, kRows>& shared;
  Tiles tiles;
  int first_unit, k;  // the lane's token of the first unit
  int left;           // of states from the lane's first on
  int to, pitch;      // in shared memory, of the first unit, and of a unit
  const char* at;     // of the next tile to be loaded
  int unit_step;      // bytes
  int64_t tile_step;
  Word<T> next[kOfWarp][2];

  __device__ void init(const Direction<T>& dir, int sample, int first_state, int team) {
    const int lane = threadIdx.x % kWarp, n = first_state + lane % 4 * 4, part = n / kRow;
    const bool of_C = lane & 4;
    k = first_unit * kTokens + lane / 8;
    left = static_cast<int>(args.work.in.state) - n;
    const auto& tile = shared.tile[0];
    const float* in_tile = of_C ? &tile.C[part].of[k][n % kRow] : &tile.B[part].of[k][n % kRow];
    to = static_cast<int>(in_tile - reinterpret_cast<const float*>(&tile));
    pitch = static_cast<int>((of_C ? sizeof(tile.C[0].of[0]) : sizeof(tile.B[0].of[0])) /
                             sizeof(float) * kTokens * kWarps);
    const Rows<const T>& rows = of_C ? dir.C : dir.B;
    const int token = tiles.token(team, k);
    at = reinterpret_cast<const char*>(rows.data + sample * rows.batch_stride +
                                       token * rows.token_stride + n);
    const int stride = static_cast<int>(rows.token_stride * sizeof(T)) * (dir.reverse ? -1 : 1);
    unit_step = stride * kTokens * kWarps;
    tile_step = static_cast<int64_t>(stride) * kTile * kTeams;
#pragma unroll
    for (int i = 0; i < kOfWarp; ++i) next[i][0] = next[i][1] = {};
  }
  __device__ bool mine(int i) const {
    return i * kWarps + kWarps <= kUnits || i * kWarps + first_unit < kUnits;
  }
  __device__ void load_unit(int i) {
    const T* from = reinterpret_cast<const T*>(at + static_cast<int64_t>(i) * unit_step);
    if constexpr (kAligned) {
      using Four = std::conditional_t<sizeof(T) == 4, uint4, uint2>;
      *reinterpret_cast<Four*>(next[i]) = *reinterpret_cast<const Four*>(from);
    } else {
      const auto one = [&](int j) { return j < left ? to_float(from[j]) : 0.0f; };
      next[i][0] = pack<T>(one(0), one(1)), next[i][1] = pack<T>(one(2), one(3));
    }
  }
  __device__ void load(int walked) {
    if (walked >= tiles.count) return;
    if (walked != tiles.boundary()) {
#pragma unroll
      for (int i = 0; i < kOfWarp; ++i) {
        if (mine(i)) load_unit(i);
      }
    } else {  // where there is no token, that of an earlier tile stays, or zero
#pragma unroll
      for (int i = 0; i < kOfWarp; ++i) {
        if (mine(i) && tiles.token(walked, k + i * kWarps * kTokens) < tiles.length) load_unit(i);
      }
    }
    at += tile_step;
  }
  __device__ void store(int slot) const {
    float* const tile = reinterpret_cast<float*>(&shared.tile[slot]) + to;
#pragma unroll
    for (int i = 0; i < kOfWarp; ++i) {
      if (!mine(i)) break;
      const float2 low = unpack<T>(next[i][0]), high = unpack<T>(next[i][1]);
      *reinterpret_cast<float4*>(tile + i * pitch) = {low.x, low.y, high.x, high.y};
    }
  }
};

template <class T, int kParts, int kRows, bool kAligned>
__device__ void fill_tiles(const Args<T>& args, const Direction<T>& dir,
                           DirectionMemory<kParts, kRows>& shared, int team, int warp, int sample,
                           int first_of_block) {
  using W = Warps<kParts, kRows>;
  const Tiles tiles(args.work.in.length, dir.reverse);
  const bool steps = warp < kRows, states = !W::kApart || !steps;
  StepFiller<T, kParts, kRows, kAligned, W::kTeams> of_steps{args, shared, tiles,
                                                             Place<kRows>(warp)};
  StateFiller<T, kParts, kRows, kAligned, W::kApart ? 1 : kRows, W::kTeams> of_states{
      args, shared, tiles, W::kApart ? 0 : warp};
  typename decltype(of_steps)::Loaded loaded[2];
  if (steps) of_steps.init(dir, sample, first_of_block, team), of_steps.load(team, loaded[0]);
  if (states) {
    of_states.init(dir, sample, W::kApart ? (warp - kRows) * 2 * kRow : 0, team);
    of_states.load(team);
  }
  // What is loaded while a tile is filled lies in other registers, so that nothing waits for it.
  const auto fill = [&](int walked, const auto& now, auto& next) {
    const int slot = walked & 1;
    float step[kRow], input[kRow];
    if (steps) of_steps.load(walked + W::kTeams, next), of_steps.compute(now, step, input);
    if (walked >= 2) shared.scanned[slot].wait((walked >> 1) - 1);
    if (steps) of_steps.store(slot, step, input);
    if (states) of_states.store(slot), of_states.load(walked + W::kTeams);
    shared.filled[slot].arrive();
  };
  for (int walked = team; walked < tiles.count; walked += 2 * W::kTeams) {
    fill(walked, loaded[0], loaded[1]);
    if (walked + W::kTeams < tiles.count) fill(walked + W::kTeams, loaded[1], loaded[0]);
  }
}

}  // namespace vim::ops::scan::cuda::split
