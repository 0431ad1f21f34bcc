// What device code shares: numbers of a storage type as floats, several at a time, and sums in a
// fixed order.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

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

// `kCount` neighbours in one access; `from` and `to` are aligned to all of them.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount) Pack {
  T values[kCount];
};

template <class T, int kCount>
__device__ void load(float (&to)[kCount], const T* from) {
  const auto pack = *reinterpret_cast<const Pack<T, kCount>*>(from);
#pragma unroll
  for (int i = 0; i < kCount; ++i) to[i] = to_float(pack.values[i]);
}

template <class T, int kCount>
__device__ void store(T* to, const float (&from)[kCount]) {
  Pack<T, kCount> pack;
#pragma unroll
  for (int i = 0; i < kCount; ++i) pack.values[i] = from_float<T>(from[i]);
  *reinterpret_cast<Pack<T, kCount>*>(to) = pack;
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
  return __fdividef(1.0f, 1.0f + __expf(-x));
}

// The sum over the lanes of a warp, in every lane.
__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffff, x, offset);
  return x;
}

// store(column, sum over the rows of parts [rows, columns]), in one order whatever the device.
// Blocks of (32, kSumRows) threads, 32 columns each.
inline constexpr int kSumRows = 16;
template <class Store>
__global__ void sum_rows(const float* parts, int64_t rows, int64_t columns, Store store) {
  __shared__ float sums[kSumRows][33];
  const int64_t column = int64_t{blockIdx.x} * 32 + threadIdx.x;
  float sum = 0;
  if (column < columns) {
#pragma unroll 4
    for (int64_t row = threadIdx.y; row < rows; row += kSumRows) {
      sum += parts[row * columns + column];
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
