// The warps of the split forward scan that finish and store: see cuda_forward_split.cu.
#pragma once

#include "ops/selective_scan/cuda_split_walk.cuh"

namespace vim::ops::scan::cuda::split {

// Finishes tiles: adds to the sums over states, gates and stores, and copies the states that are
// kept.
template <class T, int kParts, int kRows, bool kAligned, bool kSave>
struct Finisher {
  using Shared = DirectionMemory<T, kParts, kRows>;

  const Args<T>& args;
  Shared& shared;
  Barrier& middle;
  Tiles tiles;
  int warp;
  Place<kRows> place;
  int missing;  // the tile in which the lane has no token
  bool stored;  // whether the lane's channels are there
  int meets;    // the first tile that the other direction has been at
  Walk<const T, kAligned> u, z;
  Walk<T, kAligned> out, sum;
  Channels<T> next_u, next_z, next_other;
  float D[kRow];
  History<T>* checkpoints;           // of the row that the warp copies
  int channels_left, of_checkpoint;  // from that row on, and the numbers of a checkpoint

  __device__ void init(const Direction<T>& dir, int direction, int sample, int first_of_block) {
    const Inputs<T>& in = args.work.in;
    const int channels = static_cast<int>(in.channels), token = tiles.token(0, place.k);
    const int channel = first_of_block + place.row * kRow;
    stored = channel < channels, missing = tiles.without(place.k);
    meets = tiles.first_finished(in.directions);
    const auto start = [&](auto& walk, const auto& rows) {
      walk.init(rows, sample, token, tiles.reverse ? -kTile : kTile, channel, channels);
    };
    start(u, dir.u), start(z, in.z), start(out, args.work.out);
    if constexpr (kSave) start(sum, saved_sum(in, args.work.saved));
    load_numbers(dir.D, channel, channels, D);
    if constexpr (kSave && Shared::kStaged) {
      const int first = first_of_block + warp * kRow;
      channels_left = channels - first, of_checkpoint = channels * (kParts * kRow);
      checkpoints = static_cast<History<T>*>(args.work.saved) +
                    (direction * in.batch + sample) * checkpoints_of<T>(in.length) * of_checkpoint +
                    first * (kParts * kRow);
    }
  }

  // `out` is one tile behind.
  template <bool kMet>
  __device__ void load_next(int walked) {
    u.advance(), z.advance();
    if (walked >= tiles.count || walked == missing) return;
    u.load(next_u);
    if (args.work.in.z.data != nullptr && (kMet || walked >= meets)) z.load(next_z);
    if (kMet && args.work.in.directions == 2) out.load_at(out.at + out.step, next_other);
  }
  // Until both directions have stored all that comes before they meet. Without the fence a load of
  // what the other has stored was seen to come too early.
  __device__ void meet() {
    if (args.work.in.directions != 2) return;
    __threadfence_block();
    middle.arrive();
    middle.wait(0);
  }

  // What the sums over states are multiplied with, and what is added to them before.
  template <bool kMet>
  __device__ void prepare(float (&gate)[kRow], float (&rest)[kRow]) const {
    const Inputs<T>& in = args.work.in;
    float u_of[kRow], other[kRow] = {};
    next_u.unpack_to(u_of);
    if (kMet && in.directions == 2) next_other.unpack_to(other);
#pragma unroll
    for (int i = 0; i < kRow; ++i) rest[i] = fmaf(D[i], u_of[i], other[i]), gate[i] = in.scale;
    if constexpr (!kMet) return;
    if (in.z.data != nullptr) {
      float z_of[kRow];
      next_z.unpack_to(z_of);
#pragma unroll
      for (int i = 0; i < kRow; ++i) gate[i] *= silu<T>(z_of[i]);
    }
  }

  // Copies the tile's checkpoints, 16 bytes a lane at a time.
  __device__ void save(int walked) const {
    constexpr int kCount = kTile / kSpacing<T>, kNumbers = 16 / sizeof(History<T>);
    constexpr int kOfChannel = kParts * kRow / kNumbers, kOfOne = kRow * kOfChannel;
    const int lane = threadIdx.x % kWarp, n = lane % kOfChannel * kNumbers;
#pragma unroll
    for (int i = 0; i < kCount * kOfOne; i += kWarp) {
      const int k = (i + lane) / kOfOne, channel = (i + lane) % kOfOne / kOfChannel;
      const int before = tiles.at(walked) * kCount + (tiles.reverse ? kCount - 1 - k : k);
      if (before >= checkpoints_of<T>(tiles.length) || channel >= channels_left) continue;
      History<T>* const to = checkpoints + static_cast<int64_t>(before) * of_checkpoint;
      *reinterpret_cast<uint4*>(to + channel * (kParts * kRow) + n) =
          *reinterpret_cast<const uint4*>(&shared.checkpoints[walked & 1][warp][k].of[channel][n]);
    }
  }

  template <bool kMet>
  __device__ void finish(int begin, int end) {
    const bool gated = args.work.in.z.data != nullptr;
    for (int walked = begin; walked < end; ++walked) {
      const int slot = walked & 1;
      float gate[kRow], rest[kRow];
      prepare<kMet>(gate, rest);
      load_next<kMet>(walked + 1);
      shared.scanned[slot].wait(walked >> 1);
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        const auto& y = shared.sums[slot % shared.kSumSlots][part][place.row].of[place.k];
#pragma unroll
        for (int i = 0; i < kRow; i += 4) {
          const float4 four = *reinterpret_cast<const float4*>(&y[i]);
          rest[i] += four.x, rest[i + 1] += four.y, rest[i + 2] += four.z, rest[i + 3] += four.w;
        }
      }
      if constexpr (kSave && Shared::kStaged) save(walked);
      shared.drained[slot].arrive();
      if (stored && walked != missing) {
        if (kMet && kSave && gated) sum.store(rest);
        if constexpr (kMet) {
#pragma unroll
          for (int i = 0; i < kRow; ++i) rest[i] *= gate[i];
        }
        out.store(rest);
      }
      out.advance();
      if constexpr (kSave) sum.advance();
    }
  }
  __device__ void finish_all() {
    if (missing != 0) {
      u.load(next_u);
      if (meets == 0 && args.work.in.z.data != nullptr) z.load(next_z);
    }
    finish<false>(0, meets);
    meet();
    if (meets < tiles.count && args.work.in.directions == 2 && meets != missing) {
      out.load(next_other);
    }
    finish<true>(meets, tiles.count);
  }
};

}  // namespace vim::ops::scan::cuda::split
