// The backward scan for float.
//
// As the one for 16-bit types (cuda_backward.cu), with three differences. The states of a chunk
// take twice the room, so a thread has one channel, with its 16 decay rates, the gradient g of its
// 16 states and that of A (48 numbers), and a warp 32. Sums over channels are made by float
// additions: matrix instructions would round. A block is up to 4 warps that walk the same tokens
// and add up their dB and dC, and takes a whole walk. For each chunk of 8 tokens
//   1. the lanes share out the gate and the softplus, once for each channel and token;
//   2. from the checkpoint of the forward pass, the states are computed once more and kept in
//      shared memory, as h_0 .. h_8;
//   3. dC_t = sum over channels of dy h_t;
//   4. in descending order g += C dy, ddelta += A g a h, dA += delta g a h, du += B g, g *= a, with
//      the decay a computed anew; g_t takes the place of h_t;
//   5. dB_t = sum over channels of delta u g_t, as in 3;
//   6. the block adds up the dB and dC of its warps and stores them as one part.
// Inputs of the next chunk are loaded into registers during step 4. A block has up to 102 KB of
// shared memory, so that two share a multiprocessor of 227 KB.
#include "ops/selective_scan/cuda_backward_float_ends.cuh"
#include "ops/selective_scan/cuda_backward_float_gate.cuh"
#include "ops/selective_scan/cuda_backward_float_states.cuh"
#include "ops/shared_memory.h"

namespace vim::ops::scan::cuda {
namespace {

template <bool kPaired>
__device__ void Walker<kPaired>::walk() {
  const int begin = segment * args.plan.chunks;  // in walking order
  const int end = min(begin + args.plan.chunks, chunks);
  Loaded next;
  load(end - 1, next);
  enter();
  int buffer = 0;
  for (int walked = end - 1; walked >= begin; --walked, buffer ^= 1) {
    const int chunk = chunk_at(walked);
    stage_B_C(next, buffer);
    gate(next, chunk);
    __syncthreads();
    if (walked < end - 1) store_rows(walked + 1, buffer ^ 1);
    recompute(next, buffer);
    sum_over_channels(buffer, 1);
    if (walked > begin) load(walked - 1, next);
    descend(chunk, buffer);
    sum_over_channels(buffer, 0);
  }
  __syncthreads();
  store_rows(begin, buffer ^ 1);
  store_channels();
}

template <bool kPaired>
__global__ void __launch_bounds__(kMaxWarps* kWarp, 2)
    backward_kernel(const __grid_constant__ BackwardArgs<float> args) {
  extern __shared__ __align__(128) unsigned char shared[];
  const Inputs<float>& in = args.work.in;
  const int warp = threadIdx.x / kWarp;
  unsigned at = blockIdx.x;
  const int channel_block = at % args.plan.channel_blocks;
  at /= args.plan.channel_blocks;
  const int direction = at % in.directions;
  at /= in.directions;
  const int segment = at % args.plan.segments;
  const int sample = at / args.plan.segments;
  auto& block = *reinterpret_cast<BlockMemory*>(shared);
  auto* memory = reinterpret_cast<WarpMemory*>(shared + sizeof(BlockMemory));
  Walker<kPaired> walker{args,         in.direction[direction],
                         memory[warp], block,
                         direction,    sample,
                         segment,      channel_block,
                         warp,         static_cast<int>(threadIdx.x % kWarp)};
  walker.init();
  walker.walk();
}

}  // namespace

int backward_float_shared_bytes(int warps) {
  return static_cast<int>(sizeof(BlockMemory) + warps * sizeof(WarpMemory));
}

cudaError_t launch_backward(const BackwardArgs<float>& args, cudaStream_t stream) {
  const Inputs<float>& in = args.work.in;
  const int shared = backward_float_shared_bytes(args.plan.warps);
  const auto kernel = pairs_aligned(args.work) ? backward_kernel<true> : backward_kernel<false>;
  const cudaError_t error = allow_shared_memory(kernel, shared);
  if (error != cudaSuccess) return error;
  const auto blocks = static_cast<unsigned>(in.batch * args.plan.segments * in.directions *
                                            args.plan.channel_blocks);
  kernel<<<blocks, args.plan.warps * kWarp, shared, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace vim::ops::scan::cuda
