// What device code shares: numbers of a storage type as floats, two neighbours at a time,
// sigmoids, and sums in a fixed order.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include <type_traits>

namespace vim::ops {

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__half x) {
  return __half2float(x);
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

template <class T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// Two neighbours as they lie in memory. What is loaded ahead of its use stays in this form: the
// compiler would keep two numbers of half the width in two registers.
template <class T>
using Word = std::conditional_t<sizeof(T) == 2, uint32_t, uint2>;

template <class T>
__device__ float2 unpack(Word<T> word) {
  if constexpr (std::is_same_v<T, float>) {
    return {__uint_as_float(word.x), __uint_as_float(word.y)};
  } else if constexpr (std::is_same_v<T, __half>) {
    return __half22float2(reinterpret_cast<const __half2&>(word));
  } else {
    return {__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u)};
  }
}
template <class T>
__device__ Word<T> pack(float x, float y) {
  if constexpr (std::is_same_v<T, float>) {
    return {__float_as_uint(x), __float_as_uint(y)};
  } else if constexpr (std::is_same_v<T, __half>) {
    const __half2 both = __floats2half2_rn(x, y);
    return reinterpret_cast<const uint32_t&>(both);
  } else {
    const __nv_bfloat162 both = __floats2bfloat162_rn(x, y);
    return reinterpret_cast<const uint32_t&>(both);
  }
}

// One number, or neighbours that are aligned to all of them, in one access.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount) Words {
  Word<T> word[kCount / 2];
};
template <class T, int kCount>
__device__ void load(float (&to)[kCount], const T* from) {
  if constexpr (kCount == 1) {
    to[0] = to_float(*from);
  } else {
    const auto words = *reinterpret_cast<const Words<T, kCount>*>(from);
#pragma unroll
    for (int i = 0; i < kCount; i += 2) {
      const float2 both = unpack<T>(words.word[i / 2]);
      to[i] = both.x, to[i + 1] = both.y;
    }
  }
}
template <class T, int kCount>
__device__ void store(T* to, const float (&from)[kCount]) {
  if constexpr (kCount == 1) {
    *to = from_float<T>(from[0]);
  } else {
    Words<T, kCount> words;
#pragma unroll
    for (int i = 0; i < kCount; i += 2) words.word[i / 2] = pack<T>(from[i], from[i + 1]);
    *reinterpret_cast<Words<T, kCount>*>(to) = words;
  }
}

template <int kCount>
__device__ void fill(float (&to)[kCount], float value) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) to[i] = value;
}

// A number as a type, for launches that choose among templates.
template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

__device__ inline float sigmoid(float x) {
  float e, y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(x * -1.4426950408889634f));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(1.0f + e));
  return y;
}
// One special function where a sigmoid takes two. Errors up to 5e-4: for results of half precision.
__device__ inline float tanh_approx(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// The sum over the lanes of a warp, in every lane.
__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffff, x, offset);
  return x;
}

// store(column, sum over the rows of parts [rows, columns]), in one order whatever the device.
// Blocks of (32, kSumRows) threads, 32 columns each.
inline constexpr int kSumRows = 32;
template <class Store>
__global__ void sum_rows(const float* parts, int rows, int columns, Store store) {
  __shared__ float sums[kSumRows][33];
  const int column = static_cast<int>(blockIdx.x) * 32 + threadIdx.x;
  float sum = 0;
  if (column < columns) {
#pragma unroll 8
    for (int row = threadIdx.y; row < rows; row += kSumRows) {
      sum += parts[int64_t{row} * columns + column];
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= columns) return;
#pragma unroll
  for (int i = 1; i < kSumRows; ++i) sum += sums[i][threadIdx.x];
  store(column, sum);
}

}  // namespace vim::ops
