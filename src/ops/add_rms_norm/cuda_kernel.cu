// Root-mean-square norm of a sum, one warp a row.
//
// Each lane keeps its part of the row in registers as float, pairs of neighbours, so that global
// memory is read once: forward moves 2 (x) + 4 (residual) + 4 (sum) + 2 (y) bytes an element in
// half precision with a residual, and 2 that are kept, backward 2 + 4 + 2 + 4 + 2. What is kept is
// the normalised sum: half of the sum itself, which nobody needs after the next block. The backward
// warps stride over the
// rows and keep their share of the weight's gradient in registers; a block adds its warps' shares
// in shared memory and stores one row of partial sums, which a second kernel adds in a fixed order.
#include <algorithm>

#include "ops/add_rms_norm/cuda_kernel.h"
#include "ops/cuda_device.cuh"

namespace vim::ops::norm::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int64_t kBackwardBlocks = 528;  // 4 a multiprocessor of the largest GPUs

// One lane's part of a row: kPairs pairs, 64 channels apart. Pairs beyond the row are zero and are
// not stored. kWidth is 2, or 1 where pairs are not aligned.
template <int kPairs, int kWidth>
struct Part {
  float value[kPairs][kWidth];

  __device__ static int64_t channel(int pair) { return (pair * 32 + threadIdx.x) * kWidth; }

  template <class T>
  __device__ void read(const T* row, int64_t channels) {
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      if (channel(p) < channels) {
        load(value[p], row + channel(p));
      } else {
        fill(value[p], 0.0f);
      }
    }
  }
  template <class T>
  __device__ void write(T* row, int64_t channels) const {
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      if (channel(p) < channels) store(row + channel(p), value[p]);
    }
  }
  // Calls update(value, pair, place in the pair) for each number.
  template <class Update>
  __device__ void each(const Update& update) {
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) update(value[p][i], p, i);
    }
  }
};

template <class T, int kPairs, int kWidth>
__global__ void __launch_bounds__(32 * kWarps)
    forward_kernel(const __grid_constant__ Forward<T> work) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.y;
  if (row >= work.rows) return;
  const int64_t start = row * work.channels;
  Part<kPairs, kWidth> x, other;
  x.read(work.x + start, work.channels);
  if (work.residual != nullptr) {
    other.read(work.residual + start, work.channels);
    x.each([&](float& v, int p, int i) { v += other.value[p][i]; });
    x.write(work.sum + start, work.channels);
  }
  float squares = 0;
  x.each([&](float& v, int, int) { squares += v * v; });
  const float scale = rsqrtf(warp_sum(squares) / static_cast<float>(work.channels) + work.eps);
  x.each([&](float& v, int, int) { v *= scale; });
  if (work.normed != nullptr) {
    x.write(work.normed + start, work.channels);
    if (threadIdx.x == 0) work.scale[row] = scale;
  }
  other.read(work.weight, work.channels);
  x.each([&](float& v, int p, int i) { v *= other.value[p][i]; });
  x.write(work.y + start, work.channels);
}

// With n the normalised sum: grad = scale (g w - n mean(g w n)) + grad_sum, and grad_weight is the
// sum of g n.
template <class T, int kPairs, int kWidth>
__global__ void __launch_bounds__(32 * kWarps)
    backward_kernel(const __grid_constant__ Backward<T> work) {
  using Numbers = Part<kPairs, kWidth>;
  Numbers weight, grad_weight = {};
  weight.read(work.weight, work.channels);
  for (int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.y; row < work.rows;
       row += int64_t{gridDim.x} * kWarps) {
    const int64_t start = row * work.channels;
    Numbers normed, grad;
    normed.read(work.normed + start, work.channels);
    grad.read(work.grad_y + start, work.channels);
    const float scale = work.scale[row];
    float product = 0;
    normed.each([&](float n, int p, int i) {
      float& g = grad.value[p][i];
      grad_weight.value[p][i] += g * n;
      g *= weight.value[p][i];
      product += g * n;
    });
    product = warp_sum(product) / static_cast<float>(work.channels);
    grad.each([&](float& g, int p, int i) { g = scale * (g - normed.value[p][i] * product); });
    if (work.grad_sum != nullptr) {
      normed.read(work.grad_sum + start, work.channels);
      grad.each([&](float& g, int p, int i) { g += normed.value[p][i]; });
    }
    grad.write(work.grad_x + start, work.channels);
    if (work.grad_residual != nullptr) grad.write(work.grad_residual + start, work.channels);
  }

  // The warps' shares one after another, so that shared memory holds a single row.
  __shared__ float shared[kPairs * 32 * kWidth];
  for (int warp = 0; warp < kWarps; ++warp) {
    if (threadIdx.y == warp) {
      grad_weight.each([&](float& v, int p, int i) {
        float& sum = shared[Numbers::channel(p) + i];
        sum = warp == 0 ? v : sum + v;
      });
    }
    __syncthreads();
  }
  float* parts = work.workspace + blockIdx.x * work.channels;
  for (int64_t c = threadIdx.y * 32 + threadIdx.x; c < work.channels; c += 32 * kWarps) {
    parts[c] = shared[c];
  }
}

struct StoreWeight {
  float* weight;
  __device__ void operator()(int column, float sum) const { weight[column] = sum; }
};

template <class... T>
bool aligned_to_pairs(const T*... matrices) {
  return ((reinterpret_cast<uintptr_t>(matrices) % (2 * sizeof(T)) == 0) && ...);
}

// Calls launch(pairs, width) with the smallest part that holds a row.
template <class Launch>
void dispatch(int64_t channels, bool aligned, const Launch& launch) {
  const int64_t lanes = (channels + 31) / 32;  // numbers of a lane
  if (channels % 2 != 0 || !aligned) {
    return lanes <= 8 ? launch(Constant<8>(), Constant<1>())
                      : launch(Constant<64>(), Constant<1>());
  }
  if (lanes <= 6) return launch(Constant<3>(), Constant<2>());
  if (lanes <= 12) return launch(Constant<6>(), Constant<2>());
  if (lanes <= 24) return launch(Constant<12>(), Constant<2>());
  return launch(Constant<32>(), Constant<2>());
}

int64_t backward_blocks(int64_t rows) {
  return std::clamp<int64_t>((rows + kWarps - 1) / kWarps, 1, kBackwardBlocks);
}

}  // namespace

int64_t workspace_size(int64_t rows, int64_t channels) {
  return backward_blocks(rows) * channels;
}

template <class T>
void forward(const Forward<T>& work, cudaStream_t stream) {
  if (work.rows == 0) return;
  const auto blocks = static_cast<unsigned>((work.rows + kWarps - 1) / kWarps);
  const bool aligned =
      aligned_to_pairs(work.x, work.residual, work.weight, work.y, work.sum, work.normed);
  dispatch(work.channels, aligned, [&](auto pairs, auto width) {
    forward_kernel<T, decltype(pairs)::value, decltype(width)::value>
        <<<blocks, dim3(32, kWarps), 0, stream>>>(work);
  });
}

template <class T>
void backward(const Backward<T>& work, cudaStream_t stream) {
  const int64_t blocks = backward_blocks(work.rows);
  const bool aligned = aligned_to_pairs(work.grad_y, work.grad_sum, work.normed, work.weight,
                                        work.grad_x, work.grad_residual);
  dispatch(work.channels, aligned, [&](auto pairs, auto width) {
    backward_kernel<T, decltype(pairs)::value, decltype(width)::value>
        <<<static_cast<unsigned>(blocks), dim3(32, kWarps), 0, stream>>>(work);
  });
  sum_rows<<<static_cast<unsigned>((work.channels + 31) / 32), dim3(32, kSumRows), 0, stream>>>(
      work.workspace, static_cast<int>(blocks), static_cast<int>(work.channels),
      StoreWeight{work.grad_weight});
}

template void forward(const Forward<float>&, cudaStream_t);
template void forward(const Forward<__half>&, cudaStream_t);
template void forward(const Forward<__nv_bfloat16>&, cudaStream_t);
template void backward(const Backward<float>&, cudaStream_t);
template void backward(const Backward<__half>&, cudaStream_t);
template void backward(const Backward<__nv_bfloat16>&, cudaStream_t);

}  // namespace vim::ops::norm::cuda
