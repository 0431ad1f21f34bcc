// What the warps of the split forward scan share, and how they hand it over: see
// cuda_forward_split.cu.
#pragma once

#include "ops/cuda_matrix.cuh"
#include "ops/selective_scan/cuda_device.cuh"

namespace vim::ops::scan::cuda::split {

constexpr int kRow = 8;    // channels that lie side by side, and states that a warp scans of each
constexpr int kTile = 32;  // tokens handed over at once: one for each lane

template <class T>
struct Args {
  Forward<T> work;
  int blocks;  // of a sample
};

// A barrier in shared memory at which every thread of some warps arrives: what a thread has done
// before it arrives is done for those that have waited. It is completed again and again; nobody may
// be two rounds behind.
struct Barrier {
  uint64_t state;

  __device__ void init(int warps) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(this)),
                 "r"(warps * kWarp)
                 : "memory");
  }
  __device__ void arrive() {
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(shared_address(this)) : "memory");
  }
  // Whether it has been completed for the `round`-th time, from 0.
  __device__ bool done(int round) const {
    uint32_t done;
    asm volatile(
        "{\n.reg .pred p;\n"
        "mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(shared_address(this)), "r"(round & 1)
        : "memory");
    return done != 0;
  }
  // Until it is.
  __device__ void wait(int round) const {
#if __CUDA_ARCH__ >= 900
    uint32_t done = 0;
    while (done == 0) {
      asm volatile(
          "{\n.reg .pred p;\n"
          "mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n"
          "selp.u32 %0, 1, 0, p;\n}"
          : "=r"(done)
          : "r"(shared_address(this)), "r"(round & 1)
          : "memory");
    }
#else
    while (!done(round)) {
    }
#endif
  }
};

// The walk of a direction over its tiles: positions in walking order, tokens where they are.
struct Tiles {
  int length, count;
  bool reverse;
  int boundary;  // the tile that may have fewer tokens

  __device__ Tiles(int64_t length_, bool reverse_)
      : length(static_cast<int>(length_)),
        count((length + kTile - 1) / kTile),
        reverse(reverse_),
        boundary(reverse ? 0 : count - 1) {}
  __device__ int at(int walked) const { return reverse ? count - 1 - walked : walked; }
  __device__ int token(int walked, int k) const {
    return at(walked) * kTile + (reverse ? kTile - 1 - k : k);
  }
  // The tile that has no k-th token, or -1.
  __device__ int without(int k) const { return token(boundary, k) < length ? -1 : boundary; }
  // The first whose tokens the other direction has been at.
  __device__ int first_finished(int directions) const {
    if (directions == 1) return 0;
    return reverse ? count - count / 2 : count / 2;
  }
};

// Whether scanning is left to matrix instructions, which read 11 bits of a number: enough for bf16
// alone.
template <class T>
inline constexpr bool kByProducts = std::is_same_v<T, __nv_bfloat16>;

// delta, or delta * u, of a row of channels in a tile. A product takes delta * u of a pair of
// tokens as two numbers of two lanes, (x, 0) and (0, y): such pairs are (x, 0, 0, y) in memory,
// where the zeros stay. Here and below paddings keep the lanes that read or write at once in
// different banks.
struct Row {
  float of[kRow][kTile + 4];
  float padding[16];

  __device__ static int place(int k) { return k; }  // of the k-th token
};
struct PairedRow {
  float of[kRow][2 * kTile + 4];
  float padding[2];

  __device__ static int place(int k) { return k / 2 * 4 + k % 2 * 3; }
};

// What the warps of one direction share, twice: one is filled while the other is scanned. 64 states
// do without some of it, so that a block needs no more than 99 KB; their scanners store the states
// that are kept themselves.
template <class T, int kParts, int kRows>
struct DirectionMemory {
  static constexpr bool kTight = kParts == 8;
  static constexpr int kSumSlots = kTight ? 1 : 2, kPitch = kTight ? kRow : kRow + 4;
  static constexpr bool kStaged = !kTight;

  struct alignas(16) States {
    float of[kTile][kRow];
    float padding[kTight ? 4 : 8];
  };
  struct alignas(16) Tile {
    Row delta[kRows];
    std::conditional_t<kByProducts<T>, PairedRow, Row> input[kRows];  // delta * u
    States B[kParts], C[kParts];
  };
  struct Sums {
    float of[kTile][kPitch];
    float padding[4];
  };
  // States on their way to device memory.
  struct alignas(16) Checkpoint {
    History<T> of[kRow][kParts * kRow + 16 / sizeof(History<T>)];
  };
  Tile tile[2];
  Sums sums[kSumSlots][kParts][kRows];  // over the states of a part
  Checkpoint checkpoints[kStaged ? 2 : 1][kStaged ? kRows : 1][kStaged ? kTile / kSpacing<T> : 1];
  Barrier filled[2], scanned[2], drained[2];
};
template <class T, int kParts, int kRows>
struct Memory {
  DirectionMemory<T, kParts, kRows> of[2];
  Barrier middle;
};

// The warps of a direction. Those of two or three rows that fill share both kinds of that work; of
// one row B and C have warps of their own, each for 16 states, and two teams take turns.
template <int kParts, int kRows>
struct Warps {
  static constexpr bool kApart = kRows == 1;
  static constexpr int kTeams = kApart && kParts == 2 ? 2 : 1;
  static constexpr int kScanners = kParts * kRows;
  static constexpr int kFillers = kApart ? kRows + kParts / 2 : kRows;  // of a team
  static constexpr int kFinishers = kRows;
  static constexpr int kCount = kScanners + kTeams * kFillers + kFinishers;
};

}  // namespace vim::ops::scan::cuda::split
