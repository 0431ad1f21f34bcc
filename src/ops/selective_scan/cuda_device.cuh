// What the scan's kernels share: numbers in memory and in registers, exponentials, where things
// lie.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include "ops/selective_scan/cuda_kernel.h"
#ifdef __CUDACC__
#include "ops/cuda_device.cuh"
#endif

namespace vim::ops::scan::cuda {

// The backward pass works on chunks of this many tokens, whose borders are the same for both
// directions.
inline constexpr int kChunk = 8;
// Tokens between the states that the forward pass leaves to it. Two chunks need half of the memory
// of one, and a twentieth more time; in float their states would need more shared memory than there
// is.
template <class T>
inline constexpr int kSpacing = sizeof(T) == 2 ? 2 * kChunk : kChunk;
// States are worked on in blocks of this many; missing ones are zeros that stay zero.
inline constexpr int kBlock = 16;
inline constexpr int kWarp = 32;
inline constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

// How h is kept between the passes: a rounding of what a gradient is multiplied with once, so that
// the precision of T's results is enough.
template <class T>
struct HistoryOf {
  using Type = __nv_bfloat16;
};
template <>
struct HistoryOf<float> {
  using Type = float;
};
template <class T>
using History = typename HistoryOf<T>::Type;

// Where things lie that one launch leaves to another.
__host__ __device__ inline int64_t chunks_of(int64_t length) {
  return (length + kChunk - 1) / kChunk;
}
template <class T>
__host__ __device__ inline int64_t checkpoints_of(int64_t length) {
  return (length + kSpacing<T> - 1) / kSpacing<T>;
}
__host__ __device__ inline int64_t padded_state(int64_t state) {
  return state <= 16 ? 16 : state <= 32 ? 32 : 64;
}
// Checkpoints: [direction, sample, kSpacing tokens, channel, padded state] of History<T>. Behind
// them, where there is a gate, the sum before it: [sample, token, channel] of T.
template <class T>
__host__ __device__ inline int64_t checkpoint_count(const Inputs<T>& in) {
  return in.directions * in.batch * checkpoints_of<T>(in.length) * in.channels *
         padded_state(in.state);
}
template <class T>
__host__ __device__ inline Rows<T> saved_sum(const Inputs<T>& in, void* saved) {
  if (saved == nullptr || in.z.data == nullptr) return {};
  auto* behind = static_cast<History<T>*>(saved) + (checkpoint_count(in) + 7) / 8 * 8;
  return {reinterpret_cast<T*>(behind), in.length * in.channels, in.channels};
}
template <class T>
__host__ __device__ inline Rows<const T> saved_sum(const Inputs<T>& in, const void* saved) {
  const Rows<T> sum = saved_sum(in, const_cast<void*>(saved));
  return {sum.data, sum.batch_stride, sum.token_stride};
}

// One sample's rows as bytes, so that an address is a base and a 32-bit offset.
template <class T>
struct Bytes {
  char* base = nullptr;
  uint32_t stride = 0;

  __host__ __device__ Bytes() {}
  __host__ __device__ Bytes(const Rows<T>& rows, int64_t sample)
      : base(rows.data == nullptr ? nullptr : (char*)(rows.data + sample * rows.batch_stride)),
        stride(static_cast<uint32_t>(rows.token_stride * sizeof(T))) {}
  // `of_row` is the offset in the row.
  __host__ __device__ T* at(int token, uint32_t of_row) const {
    return reinterpret_cast<T*>(base + (static_cast<uint32_t>(token) * stride + of_row));
  }
};

template <class T>
__host__ __device__ inline Rows<T> of_sample(Rows<T> rows, int64_t sample) {
  rows.data += sample * rows.batch_stride;
  return rows;
}

#ifdef __CUDACC__

// A lane's channels of one sample's rows.
template <class T>
struct Lane {
  size_t base = 0;  // in global memory
  int stride = 0;   // bytes

  __device__ Lane() {}
  __device__ Lane(const Rows<T>& rows, int64_t sample, int channel)
      : stride(static_cast<int>(rows.token_stride * sizeof(T))) {
    if (rows.data == nullptr) return;
    base = __cvta_generic_to_global(rows.data + sample * rows.batch_stride + channel);
  }
  // One instruction, of which the compiler would make four.
  __device__ T* at(int token) const {
    size_t address;
    asm("mad.wide.s32 %0, %1, %2, %3;" : "=l"(address) : "r"(token), "r"(stride), "l"(base));
    return static_cast<T*>(__cvta_global_to_generic(address));
  }
};

// A pair of channels as one number where they are aligned to it, else as two; `second` is 0 where
// the first is the last channel of all.
template <bool kPaired, class T>
__device__ __forceinline__ Word<T> load_pair(const T* at, int second) {
  if constexpr (kPaired)
    return *reinterpret_cast<const Word<T>*>(at);
  else
    return pack<T>(to_float(at[0]), to_float(at[second]));
}
template <bool kPaired, class T>
__device__ __forceinline__ void store_pair(T* at, float2 value, int second) {
  if constexpr (kPaired) {
    *reinterpret_cast<Word<T>*>(at) = pack<T>(value.x, value.y);
  } else {
    at[0] = from_float<T>(value.x);
    if (second) at[1] = from_float<T>(value.y);
  }
}

// Four neighbouring states of B or C as loaded, the first of them the n-th of `state`. They are
// turned into numbers where they are needed: that would wait for them.
template <class T>
struct FourStates {
  Word<T> words[2];

  __device__ __forceinline__ void load(const T* from, int n, int state, bool wide) {
    if (wide) {
      words[0] = *reinterpret_cast<const Word<T>*>(from + n);
      words[1] = *reinterpret_cast<const Word<T>*>(from + n + 2);
    } else {
      const auto one = [&](int i) { return n + i < state ? to_float(from[n + i]) : 0.0f; };
      words[0] = pack<T>(one(0), one(1)), words[1] = pack<T>(one(2), one(3));
    }
  }
  __device__ __forceinline__ float4 numbers() const {
    const float2 low = unpack<T>(words[0]), high = unpack<T>(words[1]);
    return {low.x, low.y, high.x, high.y};
  }
};

__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float log2_approx(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// log(1 + e^x), and its slope. 1 + e rounds a small e, so there the series of the logarithm takes
// over: what it leaves out is 1e-6 of the result.
__device__ __forceinline__ float softplus(float x, float e) {
  const float series = e * fmaf(e, fmaf(e, 0.33333333f, -0.5f), 1.0f);
  const float log = log2_approx(1.0f + e) * kLn2;
  return fmaxf(x, 0.0f) + (e < 0.015625f ? series : log);
}
__device__ __forceinline__ float softplus(float x) {
  return softplus(x, exp2_approx(-fabsf(x) * kLog2e));
}
__device__ __forceinline__ void softplus_and_slope(float& x, float& slope) {
  const float e = exp2_approx(-fabsf(x) * kLog2e), r = reciprocal_approx(1.0f + e);
  slope = x >= 0.0f ? r : e * r;
  x = softplus(x, e);
}
// With half the precision, half the special functions.
__device__ __forceinline__ float sigmoid_approx(float x) {
  return fmaf(0.5f, tanh_approx(0.5f * x), 0.5f);
}

// x * sigmoid(x).
template <class T>
__device__ __forceinline__ float silu(float x) {
  if constexpr (std::is_same_v<T, float>) return x * sigmoid(x);
  const float half = 0.5f * x;
  return fmaf(half, tanh_approx(half), half);
}

// kCount states as they are kept between the passes, in 16-byte stores.
template <int kCount>
__device__ __forceinline__ void store_states(float* to, const float* h) {
#pragma unroll
  for (int n = 0; n < kCount; n += 4) {
    *reinterpret_cast<float4*>(to + n) = {h[n], h[n + 1], h[n + 2], h[n + 3]};
  }
}
template <int kCount>
__device__ __forceinline__ void store_states(__nv_bfloat16* to, const float* h) {
  const auto two = [&](int n) { return pack<__nv_bfloat16>(h[n], h[n + 1]); };
#pragma unroll
  for (int n = 0; n < kCount; n += 8) {
    *reinterpret_cast<uint4*>(to + n) = {two(n), two(n + 2), two(n + 4), two(n + 6)};
  }
}

#endif  // __CUDACC__

}  // namespace vim::ops::scan::cuda
