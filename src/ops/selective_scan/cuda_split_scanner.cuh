// The warps of the split forward scan that scan: see cuda_forward_split.cu.
#pragma once

#include "ops/selective_scan/cuda_split_memory.cuh"

namespace vim::ops::scan::cuda::split {

constexpr int kOctet = 8;  // tokens whose sums over states are stored at once
constexpr int kPairs = kOctet / 2;

// Operands of matrix instructions. d = a * b for a of 16 x 4 or 16 x 8 numbers and b of 4 or 8 x 8:
// what a lane holds, of group g of four lanes and in it the t-th: a: rows g and g + 8 of column t,
// then of column t + 4; b: rows t and t + 4 of column g; d: columns 2t and 2t + 1 of row g, then of
// row g + 8. They read the upper 11 bits of the mantissas.
struct Quad {
  float at[4];
};
__device__ __forceinline__ float2 pair_at(const float* at) {
  return *reinterpret_cast<const float2*>(at);
}
__device__ __forceinline__ void multiply(Quad& d, float2 a, float b) {
  asm("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
      "{%7, %7, %7, %7};"
      : "=f"(d.at[0]), "=f"(d.at[1]), "=f"(d.at[2]), "=f"(d.at[3])
      : "r"(__float_as_uint(a.x)), "r"(__float_as_uint(a.y)), "r"(__float_as_uint(b)), "f"(0.0f));
}
__device__ __forceinline__ void multiply_add(Quad& d, const Quad& a, float2 b) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
      "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d.at[0]), "+f"(d.at[1]), "+f"(d.at[2]), "+f"(d.at[3])
      : "r"(__float_as_uint(a.at[0])), "r"(__float_as_uint(a.at[1])), "r"(__float_as_uint(a.at[2])),
        "r"(__float_as_uint(a.at[3])), "r"(__float_as_uint(b.x)), "r"(__float_as_uint(b.y)));
}

// A pair of tokens that is about to be scanned: of the first both states, then of the second, the
// logarithm to base 2 of the decay, later the decay, and what comes in.
struct Prepared {
  float decay[4], input[4];

  __device__ void finish() {
#pragma unroll
    for (int i = 0; i < 4; ++i) decay[i] = exp2_approx(decay[i]);
  }
};

// Where what a lane reads begins in a tile, in bytes.
struct Places {
  int delta, input, B, C;
};
__device__ __forceinline__ const float* number_at(const char* from, int count) {
  return reinterpret_cast<const float*>(from) + count;
}

// What a scanning warp does beside the recurrence, for bf16: nearly all of it by products.
// - delta of a pair of tokens, times a column of ones for that pair, is given to every lane.
// - The inputs delta u B are a product of two columns, one for each token, and two rows.
// - The states, as they lie in registers, times C are summed over states. Each token of an octet
// has
//   a column of C of its own, so that all their sums end up in one accumulator.
// Operands that are zero in some lanes are loaded by the others, and stay zero in those.
struct Products {
  int g, t;
  float2 A;
  float ones[kPairs];
  float2 delta;          // of the lane's pair of an octet
  float2 input[2] = {};  // of the next even and odd pair, each in its half of the lanes
  float B[2];            // of two pairs
  float2 C[kPairs] = {};
  Quad sums;

  __device__ void init() {
#pragma unroll
    for (int j = 0; j < kPairs; ++j) ones[j] = t == j ? 1.0f : 0.0f;
  }
  // In a tile's delta and delta u of a row, B and C of a part.
  __device__ int2 place_in_steps() const {
    return {2 * t, t % 2 * 2};
  }
  __device__ int2 place_in_states() const {
    return {t * kRow + g, g * kRow + 2 * t};
  }
  // For the j-th pair of the octet that begins at `first`.
  __device__ void load(const char* tile, const Places& places, int first, int j) {
    const int token = first + 2 * j;
    if (j == 1) delta = pair_at(number_at(tile + places.delta, first));
    if (t / 2 == j % 2) input[j % 2] = pair_at(number_at(tile + places.input, 2 * token));
    if (j % 2 == 0) B[j / 2] = *number_at(tile + places.B, token * kRow);
    if (g / 2 == j) C[j] = pair_at(number_at(tile + places.C, first * kRow));
  }
  __device__ void prepare(int j, Prepared& to) const {
    Quad steps, inputs;
    multiply(steps, delta, ones[j]);
    multiply(inputs, input[j % 2], B[j / 2]);
    to = {{steps.at[0] * A.x, steps.at[0] * A.y, steps.at[2] * A.x, steps.at[2] * A.y},
          {inputs.at[0], inputs.at[1], inputs.at[2], inputs.at[3]}};
  }
  __device__ void collect(int j, const Quad& states) {
    multiply_add(sums, states, C[j]);
  }
  // The first of the lane's tokens in an octet, and their sums.
  __device__ int token() const {
    return 2 * t;
  }
  __device__ void store(float* y, int pitch) const {
    y[0] = sums.at[0], y[pitch] = sums.at[3];
  }
};

__device__ __forceinline__ float upper_bits(float x) {
  return __uint_as_float(__float_as_uint(x) & 0xffffe000u);
}

// The same in float, for the other types. Only the sum over the four lanes that share a channel is
// a product, of the upper bits and of the others, with a column of ones for each token of an octet.
struct Numbers {
  int g, t;
  float2 A;
  float2 delta[2], input[2];     // of the next even and odd pair
  float2 B[2][2], C[kPairs][2];  // of each token
  Quad parts, sums;

  __device__ void init() {}
  __device__ int2 place_in_steps() const { return {0, 0}; }
  __device__ int2 place_in_states() const { return {2 * t, 2 * t}; }
  __device__ void load(const char* tile, const Places& places, int first, int j) {
    const int token = first + 2 * j;
    delta[j % 2] = pair_at(number_at(tile + places.delta, token));
    input[j % 2] = pair_at(number_at(tile + places.input, token));
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      B[j % 2][i] = pair_at(number_at(tile + places.B, (token + i) * kRow));
      C[j][i] = pair_at(number_at(tile + places.C, (token + i) * kRow));
    }
  }
  __device__ void prepare(int j, Prepared& to) const {
    const float2 d = delta[j % 2], du = input[j % 2], B0 = B[j % 2][0], B1 = B[j % 2][1];
    to = {{d.x * A.x, d.x * A.y, d.y * A.x, d.y * A.y},
          {du.x * B0.x, du.x * B0.y, du.y * B1.x, du.y * B1.y}};
  }
  __device__ void collect(int j, const Quad& states) {
    const float2 C0 = C[j][0], C1 = C[j][1];
    parts.at[j % 2 * 2] = fmaf(states.at[0], C0.x, states.at[2] * C0.y);
    parts.at[j % 2 * 2 + 1] = fmaf(states.at[1], C1.x, states.at[3] * C1.y);
    if (j % 2 == 0) return;
    const float2 ones = {g == j - 1 ? 1.0f : 0.0f, g == j ? 1.0f : 0.0f};
    Quad lower;
#pragma unroll
    for (int i = 0; i < 4; ++i) lower.at[i] = parts.at[i] - upper_bits(parts.at[i]);
    multiply_add(sums, lower, ones), multiply_add(sums, parts, ones);
  }
  __device__ int token() const {
    return 4 * t;
  }
  __device__ void store(float* y, int pitch) const {
    if (t >= 2) return;
    y[0] = sums.at[0], y[pitch] = sums.at[2], y[2 * pitch] = sums.at[1], y[3 * pitch] = sums.at[3];
  }
};

// body(0) to body(kCount - 1), unrolled before anything else, so that arrays become registers.
template <int kCount, class Body, int... i>
__device__ __forceinline__ void each(const Body& body) {
  if constexpr (sizeof...(i) == kCount) {
    (body(i), ...);
  } else {
    each<kCount, Body, i..., static_cast<int>(sizeof...(i))>(body);
  }
}

// Scans eight states of a row of channels: a lane has two states of one channel. While a pair of
// tokens is scanned, the decays of the next are computed, the products of the one after that, and
// what the octet behind needs is loaded.
template <class T, int kParts, int kRows, bool kSave>
struct Scanner {
  using Shared = DirectionMemory<T, kParts, kRows>;

  const Args<T>& args;
  Shared& shared;
  Tiles tiles;
  int part, row;
  float h[2];
  std::conditional_t<kByProducts<T>, Products, Numbers> work;
  Prepared prepared[2];  // the next even and odd pair
  Places places;
  int place_of_sums;       // bytes
  int channels_left;       // from the lane's on
  int checkpoints_before;  // the one that the walk comes to next, and
  History<T>* checkpoint;  // its place

  __device__ void init(const Direction<T>& dir, int direction, int sample, int first_of_block) {
    const Inputs<T>& in = args.work.in;
    const int lane = threadIdx.x % kWarp, state = static_cast<int>(in.state);
    const int g = lane / 4, t = lane % 4, channel = first_of_block + row * kRow + g;
    const int n = part * kRow + 2 * t;
    channels_left = static_cast<int>(in.channels) - channel;
    const float* const rates = dir.A + static_cast<int64_t>(channel) * state;
    const auto rate = [&](int at) {
      return channels_left > 0 && at < state ? rates[at] * kLog2e : 0.0f;
    };
    work.g = g, work.t = t, work.A = {rate(n), rate(n + 1)};
    work.init();
    const auto& tile = shared.tile[0];
    const auto bytes_to = [&](const auto& place, const auto& base) {
      return static_cast<int>(reinterpret_cast<const char*>(&place) -
                              reinterpret_cast<const char*>(&base));
    };
    const int2 in_steps = work.place_in_steps(), in_states = work.place_in_states();
    places = {bytes_to(tile.delta[row].of[g][in_steps.x], tile),
              bytes_to(tile.input[row].of[g][in_steps.y], tile),
              bytes_to(tile.B[part].of[0][in_states.x], tile),
              bytes_to(tile.C[part].of[0][in_states.y], tile)};
    const auto& sums = shared.sums[0];
    place_of_sums = bytes_to(sums[part][row].of[work.token()][g], sums);
    // Or the compiler works them out from g and t again and again.
    asm volatile(""
                 : "+r"(places.delta), "+r"(places.input), "+r"(places.B), "+r"(places.C),
                   "+r"(place_of_sums));
    h[0] = h[1] = 0.0f;
    if constexpr (kSave && !Shared::kStaged) {
      checkpoints_before = (tiles.at(0) * kTile + (tiles.reverse ? kTile - 1 : 0)) / kSpacing<T>;
      const int64_t before =
          (direction * in.batch + sample) * checkpoints_of<T>(in.length) + checkpoints_before;
      checkpoint = static_cast<History<T>*>(args.work.saved) +
                   (before * in.channels + channel) * (kParts * kRow) + n;
    }
  }

  __device__ void save(int slot, int in_tile) {
    const Word<History<T>> states = pack<History<T>>(h[0], h[1]);
    if constexpr (Shared::kStaged) {
      const int n = part * kRow + 2 * work.t;
      auto* const to = &shared.checkpoints[slot][row][in_tile].of[work.g][n];
      *reinterpret_cast<Word<History<T>>*>(to) = states;
    } else {
      if (channels_left > 0 && checkpoints_before < checkpoints_of<T>(tiles.length)) {
        *reinterpret_cast<Word<History<T>>*>(checkpoint) = states;
      }
      const int stride = static_cast<int>(args.work.in.channels) * (kParts * kRow);
      checkpoints_before += tiles.reverse ? -1 : 1;
      checkpoint += tiles.reverse ? -stride : stride;
    }
  }

  // Of both tokens the first state, then of both the second: an operand of a product.
  __device__ void step(int j) {
    const Prepared& of = prepared[j % 2];
    Quad states;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      states.at[2 * n] = fmaf(of.decay[n], h[n], of.input[n]);
      states.at[2 * n + 1] = h[n] = fmaf(of.decay[2 + n], states.at[2 * n], of.input[2 + n]);
    }
    work.collect(j, states);
  }

  __device__ void scan() {
    static_assert(kSpacing<T> % kOctet == 0 && kTile % kSpacing<T> == 0);
    constexpr int kOctets = kTile / kOctet;
    const auto load = [&](int slot, int octet, int j) {
      work.load(reinterpret_cast<const char*>(&shared.tile[slot]), places, octet * kOctet, j);
    };
    shared.filled[0].wait(0);
    load(0, 0, 0), load(0, 0, 1);
    work.prepare(0, prepared[0]), prepared[0].finish(), work.prepare(1, prepared[1]);
    load(0, 0, 2), load(0, 0, 3);
    // Barriers are looked at before they are needed: an answer takes longer than a pair of tokens.
    bool drained = true, filled = true;
    for (int walked = 0; walked < tiles.count; ++walked) {
      const int slot = walked & 1, sum_slot = slot % Shared::kSumSlots;
      const int before = walked - Shared::kSumSlots;  // its sums have lain where this one's will
      const bool last = walked + 1 == tiles.count;
      if (!drained) shared.drained[before & 1].wait(before >> 1);
      each<kOctets>([&](int octet) {
        if (octet == kOctets - 2) {
          filled = last || shared.filled[slot ^ 1].done((walked + 1) >> 1);
        }
        if (octet == kOctets - 1) {
          if (!filled) shared.filled[slot ^ 1].wait((walked + 1) >> 1);
          drained = before < -1 || shared.drained[(before + 1) & 1].done((before + 1) >> 1);
        }
        if (kSave && octet * kOctet % kSpacing<T> == 0) save(slot, octet * kOctet / kSpacing<T>);
        work.sums = {};
        each<kPairs>([&](int j) {
          prepared[(j + 1) % 2].finish();
          step(j);
          work.prepare((j + 2) % kPairs, prepared[j % 2]);
          load(octet == kOctets - 1 && !last ? slot ^ 1 : slot, (octet + 1) % kOctets, j);
        });
        auto* const sums = reinterpret_cast<char*>(&shared.sums[sum_slot]) + place_of_sums;
        work.store(reinterpret_cast<float*>(sums) + octet * kOctet * Shared::kPitch,
                   Shared::kPitch);
      });
      shared.scanned[slot].arrive();
    }
  }
};

}  // namespace vim::ops::scan::cuda::split
