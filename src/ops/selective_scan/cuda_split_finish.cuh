// The warps of the split forward scan that finish and store: see cuda_forward_split.cu.
#pragma once

#include "ops/selective_scan/cuda_split_walk.cuh"

namespace vim::ops::scan::cuda::split {

// Finishes tiles: adds to the sums over states, gates and stores.
template <class T, int kParts, int kRows, bool kAligned, bool kSave>
struct Finisher {
  const Args<T>& args;
  DirectionMemory<kParts, kRows>& shared;
  Barrier& middle;
  Tiles tiles;
  Place<kRows> place;
  Presence present;
  int meets;  // the first tile that the other direction has been at
  Walk<const T, kAligned> u, z;
  Walk<T, kAligned> out, sum;
  Channels<T> next_u, next_z, next_other;
  float D[kRow];

  __device__ void init(const Direction<T>& dir, int sample, int first_of_block) {
    const Inputs<T>& in = args.work.in;
    const int channels = static_cast<int>(in.channels), token = tiles.token(0, place.k);
    const int channel = first_of_block + place.row * kRow;
    present = Presence(tiles, place.k, channel < channels);
    meets = tiles.first_finished(in.directions);
    const auto start = [&](auto& walk, const auto& rows) {
      walk.init(rows, sample, token, tiles.reverse ? -kTile : kTile, channel, channels);
    };
    start(u, dir.u), start(z, in.z), start(out, args.work.out);
    if constexpr (kSave) start(sum, saved_sum(in, args.work.saved));
    load_numbers(dir.D, channel, channels, D);
  }

  // `out` is one tile behind.
  template <bool kMet>
  __device__ void load_next(int walked) {
    u.advance(), z.advance();
    if (!present(walked)) return;
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

  // What is added to the sums over states, and what they are multiplied with then.
  template <bool kMet>
  __device__ void prepare(float (&rest)[kRow], float (&gate)[kRow]) const {
    const Inputs<T>& in = args.work.in;
    next_u.unpack_to(rest);
    if constexpr (!kMet) {
#pragma unroll
      for (int i = 0; i < kRow; ++i) rest[i] = __fmul_rn(D[i], rest[i]);
      return;
    }
    float other[kRow] = {};
    if (in.directions == 2) next_other.unpack_to(other);
#pragma unroll
    for (int i = 0; i < kRow; ++i) rest[i] = fmaf(D[i], rest[i], other[i]), gate[i] = in.scale;
    if (in.z.data == nullptr) return;
    float z_of[kRow];
    next_z.unpack_to(z_of);
#pragma unroll
    for (int i = 0; i < kRow; ++i) gate[i] *= silu<T>(z_of[i]);
  }

  template <bool kMet>
  __device__ void finish(int begin, int end) {
    const bool gated = args.work.in.z.data != nullptr;
    for (int walked = begin; walked < end; ++walked) {
      const int slot = walked & 1;
      float rest[kRow], gate[kRow];
      prepare<kMet>(rest, gate);
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
      shared.drained[slot].arrive();
      if (present(walked)) {
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
    if (present(0)) {
      u.load(next_u);
      if (meets == 0 && args.work.in.z.data != nullptr) z.load(next_z);
    }
    finish<false>(0, meets);
    meet();
    if (meets < tiles.count && args.work.in.directions == 2 && present(meets)) {
      out.load(next_other);
    }
    finish<true>(meets, tiles.count);
  }
};

}  // namespace vim::ops::scan::cuda::split
