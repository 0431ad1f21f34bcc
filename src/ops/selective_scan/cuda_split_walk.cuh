// How those warps of the split forward scan that load and store go over their tokens.
#pragma once

#include "ops/selective_scan/cuda_split_memory.cuh"

namespace vim::ops::scan::cuda::split {

// A lane's place in a tile: eight channels of a token. The rows of a token lie beside each other in
// memory, and so do lanes.
template <int kRows>
struct Place {
  int row, k;

  __device__ explicit Place(int warp) {
    const int lane = warp * kWarp + threadIdx.x % kWarp;
    row = lane % kRows, k = lane / kRows;
  }
};

// Eight neighbouring channels of a token.
template <class T>
struct alignas(16) Channels {
  Word<T> pairs[kRow / 2];

  __device__ void unpack_to(float (&to)[kRow]) const {
#pragma unroll
    for (int i = 0; i < kRow; i += 2) {
      const float2 pair = unpack<T>(pairs[i / 2]);
      to[i] = pair.x, to[i + 1] = pair.y;
    }
  }
};

// A walk over the tokens of a lane, so many tiles apart.
template <class T, bool kAligned>
struct Walk {
  using Plain = std::remove_const_t<T>;
  char* at = nullptr;
  int64_t step = 0;
  int count = 0;  // of channels that there are

  __device__ void init(const Rows<T>& rows, int64_t sample, int first_token, int tokens,
                       int channel, int channels) {
    if (rows.data == nullptr) return;
    if (kAligned) channel = min(channel, channels - kRow);  // nobody stores what comes of it
    at =
        (char*)(rows.data + sample * rows.batch_stride + first_token * rows.token_stride + channel);
    step = rows.token_stride * tokens * static_cast<int>(sizeof(T));
    count = min(kRow, channels - channel);
  }
  __device__ void advance() { at += step; }
  __device__ void load(Channels<Plain>& to) const { load_at(at, to); }
  __device__ void load_at(const char* from_bytes, Channels<Plain>& to) const {
    if constexpr (kAligned) {
#pragma unroll
      for (int i = 0; i < static_cast<int>(sizeof(to) / sizeof(uint4)); ++i) {
        reinterpret_cast<uint4*>(&to)[i] = reinterpret_cast<const uint4*>(from_bytes)[i];
      }
    } else {
      const T* from = reinterpret_cast<const T*>(from_bytes);
      const auto one = [&](int i) { return i < count ? to_float(from[i]) : 0.0f; };
#pragma unroll
      for (int i = 0; i < kRow; i += 2) to.pairs[i / 2] = pack<Plain>(one(i), one(i + 1));
    }
  }
  __device__ void store(const float (&from)[kRow]) const {
    if constexpr (kAligned) {
      Channels<Plain> packed;
#pragma unroll
      for (int i = 0; i < kRow; i += 2) packed.pairs[i / 2] = pack<Plain>(from[i], from[i + 1]);
#pragma unroll
      for (int i = 0; i < static_cast<int>(sizeof(packed) / sizeof(uint4)); ++i) {
        reinterpret_cast<uint4*>(at)[i] = reinterpret_cast<const uint4*>(&packed)[i];
      }
    } else {
#pragma unroll
      for (int i = 0; i < kRow; ++i) {
        if (i < count) reinterpret_cast<T*>(at)[i] = from_float<Plain>(from[i]);
      }
    }
  }
};

__device__ __forceinline__ void load_numbers(const float* from, int channel, int channels,
                                             float (&to)[kRow]) {
#pragma unroll
  for (int i = 0; i < kRow; ++i) {
    to[i] = from != nullptr && channel + i < channels ? from[channel + i] : 0.0f;
  }
}

}  // namespace vim::ops::scan::cuda::split
