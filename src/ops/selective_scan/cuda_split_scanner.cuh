// The warps of the split forward scan that scan: see cuda_forward_split.cu.
#pragma once

#include "ops/selective_scan/cuda_split_memory.cuh"

namespace vim::ops::scan::cuda::split {

constexpr int kOctet = 8;  // tokens that a scanning warp loads at once
constexpr int kPairs = kOctet / 2;
constexpr int kAhead = 2;  // pairs whose decays are computed ahead

struct Quad {
  float at[4];
};

// d = a * b for a of 16 x 4 or 16 x 8 numbers and b of 4 or 8 x 8. What a lane holds, of group g
// of four lanes and in it the t-th: a: rows g and g + 8 of column t, then of column t + 4; b: rows
// t and t + 4 of column g; d: columns 2t and 2t + 1 of row g, then of row g + 8. It reads the upper
// 11 bits of the mantissas.
__device__ __forceinline__ void multiply(Quad& d, float a0, float a1, float b) {
  asm("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
      "{%7, %7, %7, %7};"
      : "=f"(d.at[0]), "=f"(d.at[1]), "=f"(d.at[2]), "=f"(d.at[3])
      : "r"(__float_as_uint(a0)), "r"(__float_as_uint(a1)), "r"(__float_as_uint(b)), "f"(0.0f));
}
__device__ __forceinline__ void multiply_add(Quad& d, float a0, float a1, float a2, float a3,
                                             float b0, float b1) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
      "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d.at[0]), "+f"(d.at[1]), "+f"(d.at[2]), "+f"(d.at[3])
      : "r"(__float_as_uint(a0)), "r"(__float_as_uint(a1)), "r"(__float_as_uint(a2)),
        "r"(__float_as_uint(a3)), "r"(__float_as_uint(b0)), "r"(__float_as_uint(b1)));
}

__device__ __forceinline__ float upper_bits(float x) {
  return __uint_as_float(__float_as_uint(x) & 0xffffe000u);
}
// Scans eight states of one or two rows of channels.
template <class T, int kParts, int kRows, int kOfWarp, bool kSave>
struct Scanner {
  using Shared = DirectionMemory<kParts, kRows>;
  static constexpr bool kOneProduct = std::is_same_v<T, __nv_bfloat16>;

  const Args<T>& args;
  Shared& shared;
  Tiles tiles;
  int part, row;
  int g, t;  // the lane's channel, and the pair of states it has
  int channels_left;
  History<T>* checkpoint;  // that the walk comes to next
  int checkpoints_before;  // of the sample
  float A[kOfWarp][2], h[kOfWarp][2];
  float picks[kPairs];  // 1 where the lane's pair of tokens is this one

  // Of the lane's pair of tokens: of each token both rows, or the only row of both.
  struct Octet {
    float2 delta[kOfWarp], input[kOfWarp];
    float2 B;  // the g-th state
  };
  struct Prepared {  // of a pair of tokens: both states of the first, then of the second
    float decay[kOfWarp][4], input[kOfWarp][4];
  };

  __device__ void init(const Direction<T>& dir, int direction, int sample, int first_of_block) {
    const Inputs<T>& in = args.work.in;
    const int lane = threadIdx.x % kWarp, state = static_cast<int>(in.state);
    g = lane / 4, t = lane % 4;
    const int channel = first_of_block + row * kRow + g, n = part * kRow + 2 * t;
    channels_left = static_cast<int>(in.channels) - channel;
#pragma unroll
    for (int i = 0; i < 2 * kOfWarp; ++i) {
      const int r = i / 2, at = n + i % 2;
      const bool present = r * kRow < channels_left && at < state;
      const int64_t of_channel = static_cast<int64_t>(channel + r * kRow) * state;
      A[r][i % 2] = present ? dir.A[of_channel + at] * kLog2e : 0.0f;
      h[r][i % 2] = 0.0f;
    }
#pragma unroll
    for (int j = 0; j < kPairs; ++j) picks[j] = t == j ? 1.0f : 0.0f;
    if constexpr (kSave) {
      checkpoints_before = (tiles.at(0) * kTile + (tiles.reverse ? kTile - 1 : 0)) / kSpacing<T>;
      const int64_t before =
          (direction * in.batch + sample) * checkpoints_of<T>(in.length) + checkpoints_before;
      checkpoint = static_cast<History<T>*>(args.work.saved) +
                   (before * in.channels + channel) * (kParts * kRow) + n;
    }
  }

  __device__ void load_steps(const AllSteps<kRows>& from, int token, float2 (&to)[kOfWarp]) const {
    if constexpr (kOfWarp == 1) {
      to[0] = *reinterpret_cast<const float2*>(&from.single.of[g][token][0]);
    } else {
      const float4 both = *reinterpret_cast<const float4*>(&from.pair.of[g][token][0]);
      to[0] = {both.x, both.y}, to[1] = {both.z, both.w};
    }
  }
  __device__ void load(int slot, int octet, Octet& to) const {
    const auto& tile = shared.tile[slot];
    const int token = octet * kOctet + 2 * t;
    load_steps(tile.delta, token, to.delta), load_steps(tile.input, token, to.input);
    to.B = {tile.B[part].of[token][g], tile.B[part].of[token + 1][g]};
  }
  // C of the g-th token, where that is one of the j-th pair; the others' stays zero.
  __device__ void load_C(int slot, int octet, int j, float2& to) const {
    if (g / 2 != j) return;
    to = *reinterpret_cast<const float2*>(&shared.tile[slot].C[part].of[octet * kOctet + g][2 * t]);
  }

  // d = a * b, of which b may need no more bits than a matrix instruction reads.
  template <bool kExact>
  __device__ static void spread(Quad& d, float2 a, float b) {
    if constexpr (kOneProduct) {
      multiply(d, a.x, a.y, b);
    } else {
      const float2 high = {upper_bits(a.x), upper_bits(a.y)};
      d = {};
      if constexpr (!kExact) multiply(d, high.x, high.y, b - upper_bits(b));
      multiply_add(d, high.x, high.y, a.x - high.x, a.y - high.y, b, b);
    }
  }
  __device__ static void collect(Quad& d, const float (&a)[4], float2 C) {
    if constexpr (!kOneProduct) {
      float high[4], low[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) high[i] = upper_bits(a[i]), low[i] = a[i] - high[i];
      multiply_add(d, low[0], low[1], low[2], low[3], C.x, C.y);
      if constexpr (sizeof(T) == 4) {
        multiply_add(d, high[0], high[1], high[2], high[3], C.x - upper_bits(C.x),
                     C.y - upper_bits(C.y));
      }
    }
    multiply_add(d, a[0], a[1], a[2], a[3], C.x, C.y);
  }

  // The decays and inputs of the j-th pair. A product's rows g and g + 8 are the two rows of
  // channels, or one row's two tokens; then half of each product of inputs is of no use.
  __device__ void prepare(const Octet& octet, int j, Prepared& to) const {
    const float2 B = t == j ? octet.B : float2{0, 0};
    Quad delta[kOfWarp], input[2];
#pragma unroll
    for (int i = 0; i < kOfWarp; ++i) spread<true>(delta[i], octet.delta[i], picks[j]);
    spread<sizeof(T) == 2>(input[0], octet.input[0], B.x);
    spread<sizeof(T) == 2>(input[1], octet.input[kOfWarp - 1], B.y);
#pragma unroll
    for (int r = 0; r < kOfWarp; ++r) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int token = i / 2, half = kOfWarp == 1 ? token : r;
        to.decay[r][i] = exp2_approx(delta[kOfWarp == 1 ? 0 : token].at[2 * half] * A[r][i % 2]);
        to.input[r][i] = input[token].at[2 * half + i % 2];
      }
    }
  }

  // Collects in `sums` what a pair of tokens has of its states: C has the columns of that pair.
  __device__ void step(const Prepared& of, float2 C, Quad (&sums)[kOfWarp]) {
    float now[kOfWarp][4];
#pragma unroll
    for (int r = 0; r < kOfWarp; ++r) {
      now[r][0] = fmaf(of.decay[r][0], h[r][0], of.input[r][0]);
      now[r][1] = fmaf(of.decay[r][1], h[r][1], of.input[r][1]);
      now[r][2] = h[r][0] = fmaf(of.decay[r][2], now[r][0], of.input[r][2]);
      now[r][3] = h[r][1] = fmaf(of.decay[r][3], now[r][1], of.input[r][3]);
    }
    if constexpr (kOfWarp == 1) {
      collect(sums[0], {now[0][0], now[0][2], now[0][1], now[0][3]}, C);
    } else {
#pragma unroll
      for (int token = 0; token < 2; ++token) {
        const int i = 2 * token;
        collect(sums[token], {now[0][i], now[1][i], now[0][i + 1], now[1][i + 1]}, C);
      }
    }
  }

  __device__ void save() {
    const int stride = static_cast<int>(args.work.in.channels) * (kParts * kRow);
    const bool there = checkpoints_before < checkpoints_of<T>(tiles.length);
    const int channels = there ? channels_left : 0;
#pragma unroll
    for (int r = 0; r < kOfWarp; ++r) {
      if (r * kRow >= channels) break;
      *reinterpret_cast<Word<History<T>>*>(checkpoint + r * kRow * kParts * kRow) =
          pack<History<T>>(h[r][0], h[r][1]);
    }
    checkpoints_before += tiles.reverse ? -1 : 1;
    checkpoint += tiles.reverse ? -stride : stride;
  }

  __device__ void store_sums(int slot, int octet, const Quad (&sums)[kOfWarp]) const {
#pragma unroll
    for (int r = 0; r < kOfWarp; ++r) {
      auto& y = shared.sums[slot % Shared::kSumSlots][part][row + r].of;
      y[octet * kOctet + 2 * t][g] = sums[0].at[2 * r];
      y[octet * kOctet + 2 * t + 1][g] = sums[kOfWarp - 1].at[kOfWarp == 1 ? 3 : 2 * r + 1];
    }
  }

  __device__ void scan() {
    static_assert(kPairs % kAhead == 0);
    static_assert(kSpacing<T> % kOctet == 0 && kTile % kSpacing<T> == 0);
    constexpr int kOctets = kTile / kOctet;
    Octet now, next;
    float2 C[kPairs] = {};
    Prepared prepared[kAhead];
    shared.filled[0].wait(0);
    load(0, 0, now);
#pragma unroll
    for (int j = 0; j < kPairs; ++j) load_C(0, 0, j, C[j]);
#pragma unroll
    for (int j = 0; j < kAhead; ++j) prepare(now, j, prepared[j]);
    for (int walked = 0; walked < tiles.count; ++walked) {
      const int slot = walked & 1;
      const int before = walked - Shared::kSumSlots;  // its sums have lain where this one's will
      if (before >= 0) shared.drained[before & 1].wait(before >> 1);
#pragma unroll
      for (int octet = 0; octet < kOctets; ++octet) {
        const bool more = octet == kOctets - 1 && walked + 1 < tiles.count;
        if (more) shared.filled[slot ^ 1].wait((walked + 1) >> 1);
        const int next_slot = more ? slot ^ 1 : slot, next_octet = (octet + 1) % kOctets;
        load(next_slot, next_octet, next);
        if (kSave && octet * kOctet % kSpacing<T> == 0) save();
        Quad sums[kOfWarp] = {};
#pragma unroll
        for (int j = 0; j < kPairs; ++j) {
          const int ahead = (j + kAhead) % kPairs;
          step(prepared[j % kAhead], C[j], sums);
          load_C(next_slot, next_octet, j, C[j]);
          prepare(ahead < kAhead ? next : now, ahead, prepared[j % kAhead]);
        }
        store_sums(slot, octet, sums);
        now = next;
      }
      shared.scanned[slot].arrive();
    }
  }
};

}  // namespace vim::ops::scan::cuda::split
