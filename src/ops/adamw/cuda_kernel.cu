// The joint norm of the gradients in two launches, their squares and the sum of those; a step of
// AdamW in two more, what is the same for all numbers of a parameter and the update.
//
// The tensors stand in the arguments of the launch, so that there is no table to keep on the device
// and a recorded launch has its own. A block owns a chunk of kChunk numbers of one tensor, which it
// finds by bisection in constant memory. Everything is float but for the sum over chunks and the
// powers of the betas, which one block computes in double, in an order that depends on nothing but
// the sizes. The update reads five numbers and writes four, 36 bytes a parameter with an average;
// memory bounds it.
#include "ops/adamw/cuda_kernel.h"
#include "ops/cuda_device.cuh"

namespace vim::ops::adamw::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kOneBlock = 1024;
constexpr int kWarp = 32;

// The sum over a block of kSize threads, in thread 0.
template <int kSize, class T>
__device__ T block_sum(T x) {
  __shared__ T sums[kSize / kWarp];
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    x += __shfl_xor_sync(0xffffffff, x, offset);
  }
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = x;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < kSize / kWarp; ++i) x += sums[i];
  }
  __syncthreads();
  return x;
}

// The tensor that owns a chunk of the list.
template <class T, int kMax>
__device__ int owner(const List<T, kMax>& list, int chunk) {
  int low = 0, high = list.count;  // its first chunk is <= chunk; of `high` it is not
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (list.first_chunk[middle] <= chunk ? low : high) = middle;
  }
  return low;
}

// Numbers begin .. end of a tensor.
struct Range {
  int64_t begin, end;
};
template <class T, int kMax>
__device__ Range range_of(const List<T, kMax>& list, int index, int chunk) {
  const int64_t begin = int64_t{chunk - list.first_chunk[index]} * kChunk;
  return {begin, min(begin + kChunk, list.at[index].size)};
}

__device__ bool aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % sizeof(float4) == 0;
}

// work(Constant<n>, place) for every place of the range, n numbers at a time: four where `wide`
// allows it, and one by one what is left.
template <class Work>
__device__ void for_each(const Range& range, bool wide, const Work& work) {
  const int64_t wide_end = wide ? range.begin + (range.end - range.begin) / 4 * 4 : range.begin;
  for (int64_t i = range.begin + threadIdx.x * 4; i < wide_end; i += kThreads * 4) {
    work(Constant<4>(), i);
  }
  for (int64_t i = wide_end + threadIdx.x; i < range.end; i += kThreads) work(Constant<1>(), i);
}

__global__ void __launch_bounds__(kThreads)
    sum_squares_kernel(const __grid_constant__ Gradients gradients, Partial* partials) {
  const int index = owner(gradients, blockIdx.x);
  const float* values = gradients.at[index].values;
  float squares = 0, overflow = 0;
  for_each(range_of(gradients, index, blockIdx.x), aligned(values), [&](auto n, int64_t i) {
    float some[decltype(n)::value];
    load(some, values + i);
#pragma unroll
    for (const float value : some) {
      squares += value * value;
      if (!isfinite(value)) overflow = 1;
    }
  });
  squares = block_sum<kThreads>(squares);
  overflow = block_sum<kThreads>(overflow);
  if (threadIdx.x == 0) partials[blockIdx.x] = {squares, overflow};
}

// One block.
__global__ void __launch_bounds__(kOneBlock)
    finish_norm_kernel(const Partial* partials, int64_t chunks, const float* loss_scale,
                       float* norm, float* overflow) {
  double squares = 0, overflows = 0;
  for (int64_t i = threadIdx.x; i < chunks; i += kOneBlock) {
    squares += partials[i].squares;
    overflows += partials[i].overflow;
  }
  squares = block_sum<kOneBlock>(squares);
  overflows = block_sum<kOneBlock>(overflows);
  if (threadIdx.x > 0) return;
  const double scale = loss_scale == nullptr ? 1.0 : *loss_scale;
  *norm = static_cast<float>(sqrt(squares) / scale);
  if (overflow != nullptr && overflows > 0) *overflow = 1;
}

__device__ bool skips(const Settings& settings) {
  return settings.skip != nullptr && *settings.skip != 0;
}

// What a gradient is multiplied by.
__device__ float factor_of(const Settings& settings) {
  double factor = 1;
  if (settings.max_norm > 0) {
    const double bound = settings.max_norm / (*settings.norm + 1e-6);
    // Not the other way round: a norm that is no number must not pass for a small one.
    if (!(bound >= 1)) factor = bound;
  }
  if (settings.loss_scale != nullptr) factor /= *settings.loss_scale;
  return static_cast<float>(factor);
}

// One block.
__global__ void __launch_bounds__(kOneBlock)
    prepare_kernel(const __grid_constant__ Parameters parameters,
                   const __grid_constant__ Settings settings, float* steps, Rates* rates) {
  const bool skip = skips(settings);
  for (int i = threadIdx.x; i < parameters.count; i += kOneBlock) {
    const Parameter& parameter = parameters.at[i];
    if (parameter.gradient == nullptr || skip) continue;
    const double step = steps[i] = steps[i] + 1;
    const double lr = *settings.lr * parameter.lr_scale;
    rates[i] = {static_cast<float>(lr / (1 - pow(settings.beta1, step))),
                static_cast<float>(rsqrt(1 - pow(settings.beta2, step))),
                static_cast<float>(lr * parameter.weight_decay)};
  }
}

// n numbers of each tensor at place i.
template <int n>
struct Numbers {
  float value[n], exp_avg[n], exp_avg_sq[n], gradient[n], average[n];
};

struct Constants {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, eps, one_minus_average_decay;
};

template <int n>
__device__ void move_parameter(Numbers<n>& x, const Constants& c, const Rates& rate, float factor) {
#pragma unroll
  for (int k = 0; k < n; ++k) {
    const float gradient = x.gradient[k] * factor;
    x.exp_avg[k] = c.beta1 * x.exp_avg[k] + c.one_minus_beta1 * gradient;
    x.exp_avg_sq[k] = c.beta2 * x.exp_avg_sq[k] + c.one_minus_beta2 * gradient * gradient;
    const float root = sqrtf(x.exp_avg_sq[k]) * rate.inverse_root + c.eps;
    // 1 - decay would be rounded to a number that is off by a part of the decay, always the same.
    x.value[k] -= rate.decay * x.value[k];
    x.value[k] -= rate.step_size * x.exp_avg[k] / root;
  }
}

__global__ void __launch_bounds__(kThreads)
    update_kernel(const __grid_constant__ Parameters parameters,
                  const __grid_constant__ Settings settings, const Constants constants,
                  const Rates* rates) {
  const int index = owner(parameters, blockIdx.x);
  const Parameter& p = parameters.at[index];
  const bool moves = p.gradient != nullptr && !skips(settings);
  if (!moves && p.average == nullptr) return;
  const Rates rate = moves ? rates[index] : Rates{};
  const float factor = factor_of(settings);
  const bool wide = aligned(p.value) && aligned(p.exp_avg) && aligned(p.exp_avg_sq) &&
                    aligned(p.gradient) && aligned(p.average);
  for_each(range_of(parameters, index, blockIdx.x), wide, [&](auto count, int64_t i) {
    constexpr int n = decltype(count)::value;
    Numbers<n> x;
    load(x.value, p.value + i);
    if (moves) {
      load(x.exp_avg, p.exp_avg + i);
      load(x.exp_avg_sq, p.exp_avg_sq + i);
      load(x.gradient, p.gradient + i);
    }
    if (p.average != nullptr) load(x.average, p.average + i);
    if (moves) {
      move_parameter(x, constants, rate, factor);
      store(p.value + i, x.value);
      store(p.exp_avg + i, x.exp_avg);
      store(p.exp_avg_sq + i, x.exp_avg_sq);
    }
    if (p.average == nullptr) return;
#pragma unroll
    for (int k = 0; k < n; ++k) {
      x.average[k] += constants.one_minus_average_decay * (x.value[k] - x.average[k]);
    }
    store(p.average + i, x.average);
  });
}

}  // namespace

cudaError_t sum_squares(const Gradients& gradients, Partial* partials, cudaStream_t stream) {
  const int chunks = gradients.first_chunk[gradients.count];
  if (chunks == 0) return cudaSuccess;
  sum_squares_kernel<<<chunks, kThreads, 0, stream>>>(gradients, partials);
  return cudaGetLastError();
}

cudaError_t finish_norm(const Partial* partials, int64_t chunks, const float* loss_scale,
                        float* norm, float* overflow, cudaStream_t stream) {
  finish_norm_kernel<<<1, kOneBlock, 0, stream>>>(partials, chunks, loss_scale, norm, overflow);
  return cudaGetLastError();
}

cudaError_t prepare(const Parameters& parameters, const Settings& settings, float* steps,
                    Rates* rates, cudaStream_t stream) {
  prepare_kernel<<<1, kOneBlock, 0, stream>>>(parameters, settings, steps, rates);
  return cudaGetLastError();
}

cudaError_t update(const Parameters& parameters, const Settings& settings, const Rates* rates,
                   cudaStream_t stream) {
  const int chunks = parameters.first_chunk[parameters.count];
  if (chunks == 0) return cudaSuccess;
  const Constants constants = {
      static_cast<float>(settings.beta1), static_cast<float>(1 - settings.beta1),
      static_cast<float>(settings.beta2), static_cast<float>(1 - settings.beta2),
      static_cast<float>(settings.eps),   static_cast<float>(1 - settings.average_decay)};
  update_kernel<<<chunks, kThreads, 0, stream>>>(parameters, settings, constants, rates);
  return cudaGetLastError();
}

}  // namespace vim::ops::adamw::cuda
