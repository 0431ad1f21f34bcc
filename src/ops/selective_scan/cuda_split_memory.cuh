// What the warps of the split forward scan share, and how they hand it over: see
// cuda_forward_split.cu.
#pragma once

#include "ops/selective_scan/cuda_device.cuh"

namespace vim::ops::scan::cuda::split {

constexpr int kRow = 8;    // channels that lie side by side, and states that a warp scans of each
constexpr int kTile = 32;  // tokens handed over at once: one for each lane

template <class T>
struct Args {
  Forward<T> work;
  int blocks;  // of a sample
};

__device__ __forceinline__ uint32_t shared_address(const void* at) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(at));
}

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
  // Until it is completed for the `round`-th time, from 0.
  __device__ void wait(int round) {
    uint32_t done = 0;
    while (done == 0) {
      asm volatile(
          "{\n.reg .pred p;\n"
#if __CUDA_ARCH__ >= 900
          "mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n"
#else
          "mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n"
#endif
          "selp.u32 %0, 1, 0, p;\n}"
          : "=r"(done)
          : "r"(shared_address(this)), "r"(round & 1)
          : "memory");
    }
  }
};

// The walk of a direction over its tiles: positions in walking order, tokens where they are.
struct Tiles {
  int length, count;
  bool reverse;

  __device__ Tiles(int64_t length_, bool reverse_)
      : length(static_cast<int>(length_)), count((length + kTile - 1) / kTile), reverse(reverse_) {}
  __device__ int at(int walked) const { return reverse ? count - 1 - walked : walked; }
  __device__ int token(int walked, int k) const {
    return at(walked) * kTile + (reverse ? kTile - 1 - k : k);
  }
  // The one that may have fewer tokens.
  __device__ int boundary() const { return reverse ? 0 : count - 1; }
  // The first whose tokens the other direction has been at.
  __device__ int first_finished(int directions) const {
    if (directions == 1) return 0;
    return reverse ? count - count / 2 : count / 2;
  }
};

// delta, or delta * u, of a tile's tokens, for one row of channels or for two side by side. Here
// and below paddings keep the lanes that read or write at once in different banks.
template <int kCount>
struct Steps {
  float of[kRow][kTile + 8][kCount];
  float padding[8];
};
// Of all rows of a block: two of them as a pair, the last of an odd number on its own.
template <int kRows>
struct AllSteps;
template <>
struct AllSteps<1> {
  Steps<1> single;
};
template <>
struct AllSteps<2> {
  Steps<2> pair;
};
template <>
struct AllSteps<3> {
  Steps<2> pair;
  Steps<1> single;
};

// What the warps of one direction share, twice: one is filled while the other is scanned. 64 states
// do without some of it, so that a block needs no more than 99 KB.
template <int kParts, int kRows>
struct DirectionMemory {
  static constexpr bool kTight = kParts == 8;
  static constexpr int kSumSlots = kTight ? 1 : 2, kPitch = kTight ? kRow : kRow + 4;

  struct Tile {
    AllSteps<kRows> delta, input;  // input: delta * u
    struct {
      float of[kTile][kPitch];
      float padding[8];
    } B[kParts];
    struct {
      float of[kTile][kRow];
      float padding[8];
    } C[kParts];
  };
  struct Sums {
    float of[kTile][kPitch];
    float padding[4];
  };
  Tile tile[2];
  Sums sums[kSumSlots][kParts][kRows];  // over the states of a part
  Barrier filled[2], scanned[2], drained[2];
};
template <int kParts, int kRows>
struct Memory {
  DirectionMemory<kParts, kRows> of[2];
  Barrier middle;
};

// The warps of a direction. Those of two or three rows that fill share both kinds of that work; of
// one row B and C have warps of their own, each for 16 states, and two teams take turns.
template <int kParts, int kRows>
struct Warps {
  static constexpr bool kApart = kRows == 1;
  static constexpr int kTeams = kApart && kParts == 2 ? 2 : 1;
  static constexpr int kScanners = kParts * ((kRows + 1) / 2);
  static constexpr int kFillers = kApart ? kRows + kParts / 2 : kRows;  // of a team
  static constexpr int kFinishers = kRows;
  static constexpr int kCount = kScanners + kTeams * kFillers + kFinishers;
};

}  // namespace vim::ops::scan::cuda::split
