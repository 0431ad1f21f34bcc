// A step of AdamW in three launches: squares of the gradients, what follows from their sum, update.
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
constexpr int kFinishThreads = 1024;
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
__device__ int owner(const Parameters& parameters, int chunk) {
  int low = 0, high = parameters.count;  // its first chunk is <= chunk; of `high` it is not
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (parameters.first_chunk[middle] <= chunk ? low : high) = middle;
  }
  return low;
}

// Numbers begin .. end of a tensor.
struct Range {
  int64_t begin, end;
};
__device__ Range range_of(const Parameters& parameters, int index, int chunk) {
  const int64_t begin = int64_t{chunk - parameters.first_chunk[index]} * kChunk;
  return {begin, min(begin + kChunk, parameters.at[index].size)};
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
    sum_squares_kernel(const __grid_constant__ Parameters parameters, const float* loss_scale,
                       Partial* partials) {
  const int index = owner(parameters, blockIdx.x);
  const float* gradient = parameters.at[index].gradient;
  float squares = 0, overflow = 0;
  if (gradient != nullptr) {
    const float inverse = loss_scale == nullptr ? 1 : 1 / *loss_scale;
    for_each(range_of(parameters, index, blockIdx.x), aligned(gradient), [&](auto n, int64_t i) {
      float values[decltype(n)::value];
      load(values, gradient + i);
#pragma unroll
      for (const float value : values) {
        squares += (value * inverse) * (value * inverse);
        if (!isfinite(value)) overflow = 1;
      }
    });
  }
  squares = block_sum<kThreads>(squares);
  overflow = block_sum<kThreads>(overflow);
  if (threadIdx.x == 0) partials[blockIdx.x] = {squares, overflow};
}

// One block.
__global__ void __launch_bounds__(kFinishThreads)
    finish_kernel(const __grid_constant__ Parameters parameters,
                  const __grid_constant__ Settings settings, const Partial* partials,
                  int64_t chunks, float* steps, Rates* rates, Total* total) {
  __shared__ bool skip;
  double squares = 0, overflows = 0;
  for (int64_t i = threadIdx.x; i < chunks; i += kFinishThreads) {
    squares += partials[i].squares;
    overflows += partials[i].overflow;
  }
  squares = block_sum<kFinishThreads>(squares);
  overflows = block_sum<kFinishThreads>(overflows);
  if (threadIdx.x == 0) {
    const double norm = sqrt(squares);
    const double bound = settings.max_norm / (norm + 1e-6);
    // Not the other way round: a norm that is no number must not pass for a small one.
    const double clip = settings.max_norm > 0 && !(bound >= 1) ? bound : 1;
    skip = settings.loss_scale != nullptr && overflows > 0;
    total->norm = static_cast<float>(norm);
    total->factor =
        static_cast<float>(settings.loss_scale == nullptr ? clip : clip / *settings.loss_scale);
    total->skip = skip ? 1 : 0;
    if (skip) *settings.overflow = 1;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < parameters.count; i += kFinishThreads) {
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
    update_kernel(const __grid_constant__ Parameters parameters, const Constants constants,
                  const Rates* rates, const Total* total) {
  const int index = owner(parameters, blockIdx.x);
  const Parameter& p = parameters.at[index];
  const bool moves = p.gradient != nullptr && total->skip == 0;
  if (!moves && p.average == nullptr) return;
  const Rates rate = moves ? rates[index] : Rates{};
  const float factor = total->factor;
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

cudaError_t sum_squares(const Parameters& parameters, const Settings& settings, Partial* partials,
                        cudaStream_t stream) {
  const int chunks = parameters.first_chunk[parameters.count];
  if (chunks == 0) return cudaSuccess;
  sum_squares_kernel<<<chunks, kThreads, 0, stream>>>(parameters, settings.loss_scale, partials);
  return cudaGetLastError();
}

cudaError_t finish(const Parameters& parameters, const Settings& settings, const Partial* partials,
                   int64_t chunks, float* steps, Rates* rates, Total* total, cudaStream_t stream) {
  finish_kernel<<<1, kFinishThreads, 0, stream>>>(parameters, settings, partials, chunks, steps,
                                                  rates, total);
  return cudaGetLastError();
}

cudaError_t update(const Parameters& parameters, const Settings& settings, const Rates* rates,
                   const Total* total, cudaStream_t stream) {
  const int chunks = parameters.first_chunk[parameters.count];
  if (chunks == 0) return cudaSuccess;
  const Constants constants = {
      static_cast<float>(settings.beta1), static_cast<float>(1 - settings.beta1),
      static_cast<float>(settings.beta2), static_cast<float>(1 - settings.beta2),
      static_cast<float>(settings.eps),   static_cast<float>(1 - settings.average_decay)};
  update_kernel<<<chunks, kThreads, 0, stream>>>(parameters, constants, rates, total);
  return cudaGetLastError();
}

}  // namespace vim::ops::adamw::cuda
