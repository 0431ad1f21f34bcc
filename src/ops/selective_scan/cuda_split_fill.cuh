// The warps of the split forward scan that load and prepare: see cuda_forward_split.cu.
#pragma once

#include "ops/selective_scan/cuda_split_steps.cuh"

namespace vim::ops::scan::cuda::split {

// Lays out B and C of every kWarps-th four tokens, for 16 states; a lane has four states of a
// token.
template <class T, int kParts, int kRows, bool kAligned, int kWarps, int kTeams>
struct StateFiller {
  static constexpr int kTokens = 4, kUnits = kTile / kTokens;
  static constexpr int kOfWarp = (kUnits + kWarps - 1) / kWarps;

  const Args<T>& args;
  DirectionMemory<T, kParts, kRows>& shared;
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
    if (walked != tiles.boundary) {
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

// By steps in place of delta or not.
template <class T, int kParts, int kRows, bool kAligned, bool kBySteps>
__device__ void fill_tiles(const Args<T>& args, int direction,
                           DirectionMemory<T, kParts, kRows>& shared, int team, int warp,
                           int sample, int first_of_block) {
  using W = Warps<kParts, kRows>;
  const Direction<T>& dir = args.work.in.direction[direction];
  const Tiles tiles(args.work.in.length, dir.reverse);
  const bool steps = warp < kRows, states = !W::kApart || !steps;
  auto of_steps = [&] {
    if constexpr (kBySteps) {
      return ProductFiller<T, kParts, kRows, W::kTeams>{args, shared, tiles, warp};
    } else {
      return StepFiller<T, kParts, kRows, kAligned, W::kTeams>{args, shared, tiles,
                                                               Place<kRows>(warp)};
    }
  }();
  StateFiller<T, kParts, kRows, kAligned, W::kApart ? 1 : kRows, W::kTeams> of_states{
      args, shared, tiles, W::kApart ? 0 : warp};
  typename decltype(of_steps)::Loaded loaded[2] = {};
  if (steps) of_steps.init(direction, sample, first_of_block, team), of_steps.load(team, loaded[0]);
  if (states) {
    of_states.init(dir, sample, W::kApart ? (warp - kRows) * 2 * kRow : 0, team);
    of_states.load(team);
  }
  const auto fill = [&](int walked, const auto& now, auto& next) {
    const int slot = walked & 1;
    float step[kRow], input[kRow];
    if (steps) of_steps.compute_and_load(now, step, input, walked + W::kTeams, next);
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
