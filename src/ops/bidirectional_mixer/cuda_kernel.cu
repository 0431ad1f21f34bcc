// A block moves kThreads * kEach neighbours of one matrix; the moves' blocks follow one another.
// The work is a few hundred thousand numbers: what counts is that it is one launch and not ten.
#include "ops/bidirectional_mixer/cuda_kernel.h"
#include "ops/cuda_device.cuh"

namespace vim::ops::mixer::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kEach = 4;

struct Plan {
  Move moves[kMaxMoves];
  int first_block[kMaxMoves + 1];
};

template <class T>
__global__ void __launch_bounds__(kThreads) move_kernel(const __grid_constant__ Plan plan) {
  int number = 0;
  while (static_cast<int>(blockIdx.x) >= plan.first_block[number + 1]) ++number;
  const Move& move = plan.moves[number];
  const int base = (blockIdx.x - plan.first_block[number]) * kThreads * kEach + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int index = base + i * kThreads;
    const int row = index / move.to_columns, column = index - row * move.to_columns;
    if (row >= move.to_rows) return;
    const bool there = row < move.rows && column < move.columns;
    const int64_t to = row * move.to_stride + column;
    const float value = there ? move.from[row * move.from_stride + column] : 0.0f;
    if (move.rule == Rule::kCopy) {
      static_cast<T*>(move.to)[to] = from_float<T>(value);
      continue;
    }
    static_cast<float*>(move.to)[to] = -expf(value);
  }
}

}  // namespace

template <class T>
void move(const Move* moves, int count, cudaStream_t stream) {
  Plan plan = {};
  int blocks = 0;
  for (int i = 0; i < count; ++i) {
    plan.moves[i] = moves[i];
    blocks += (moves[i].to_rows * moves[i].to_columns + kThreads * kEach - 1) / (kThreads * kEach);
    plan.first_block[i + 1] = blocks;
  }
  if (blocks > 0) move_kernel<T><<<blocks, kThreads, 0, stream>>>(plan);
}

template void move<float>(const Move*, int, cudaStream_t);
template void move<__half>(const Move*, int, cudaStream_t);
template void move<__nv_bfloat16>(const Move*, int, cudaStream_t);

}  // namespace vim::ops::mixer::cuda
