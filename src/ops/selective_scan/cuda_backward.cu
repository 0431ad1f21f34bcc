// The backward scan for 16-bit types.
//
// A warp walks 16 channels of a sample in one direction, from the end of the walk to its beginning.
// A lane has what it has of a matrix of 16 channels by 16 states in matrix instructions, four
// states of two channels: their decay rates, their gradients g and those of A (24 numbers). A block
// is up to 8 such warps. Tokens are taken in chunks of 8, two of which make a span: the tokens
// behind a checkpoint of the forward pass. For each chunk
//   1. gate: a lane computes step, softplus, the gate's part of the gradient, dz and `out` for its
//      two channels in two tokens;
//   2. ascend, when the walk comes to a span: from the checkpoint, the states h_0 .. h_16 anew,
//      kept in shared memory as bfloat16: [token][channel][state]. The walk comes by the second
//      chunk, so that the steps of the first are computed here and once more in its own step 1;
//   3. dC_t = sum over channels of dy h_t by matrix instructions, 16 states by 16 channels at a
//      time, of whose eight columns that of token t is kept;
//   4. descend: g += C dy, ddelta += A g a h, dA += delta g a h, du += B g, g *= a, the decay a
//      computed anew; g_t takes the place of h_t, and dB_t = sum over channels of delta u g_t is
//      taken from there as dC_t is, while the next two tokens are worked on;
//   5. finish: a lane has the sums over states of its two channels in two tokens: du and ddelta;
//   6. the block adds up the dB and dC of its warps and stores them as one part.
// Inputs are copied to shared memory a chunk ahead, to slots of the history that are free then.
//
// Whatever takes a number of a channel times one of a state (C dy, delta u B) or a sum over states
// is left to matrix instructions, in which all but one token's column is zero. They read 11 bits of
// delta u, of dy and of four states' part of ddelta, and g as bfloat16 where it is summed for du; g
// and h themselves, and all sums, are float. A number that is none times zero is none: it spreads
// in its chunk and channel.
//
// A second kernel adds up the parts of dB and dC (one for each 128 channels) and of dA, dD and
// dbias (one for each sample), in a fixed order. Where there are few channels the walk is cut into
// segments that run beside each other; a kernel before computes what g each of them adds, and the
// decay over it.
//
// The walks are dealt out to as many blocks as the GPU holds at once, in equal shares: laid end to
// end, they are cut into equal lengths. A block begins with the walk at the end of its share, goes
// on with whole ones, and last finishes the walk at the beginning of its share, which the block
// before it began with (McNaughton's rule), so that it need not wait. The bits are the same.
//
// A block has 115 KB of shared memory and 128 registers a thread, so that two share a
// multiprocessor of 228 KB: 16 warps. In device memory a token and channel costs u, delta, dy, z,
// the sum before the gate, du, ddelta and 2 bytes of states for each direction, dz and `out` once.
// The kernel is bound by the issue of instructions, some 420 a token and 32 channels, at 65 % of
// it; shared memory is at 53 %, special functions at 48 %.
//
// More than 16 states are worked on in blocks of 16, one launch a block, which hand the sums that
// du and ddelta are made of to the next in the workspace.
#include "ops/selective_scan/cuda_backward_ends.cuh"
#include "ops/selective_scan/cuda_backward_fetch.cuh"
#include "ops/selective_scan/cuda_backward_gate.cuh"
#include "ops/selective_scan/cuda_backward_states.cuh"
#include "ops/shared_memory.h"

namespace vim::ops::scan::cuda {
namespace {

// The chunks `begin` to `end` of a walk, counted from where it starts.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::walk(const Item& item, int begin, int end) {
  const int first = item.segment * args.plan.chunks;
  const int last = min(first + args.plan.chunks, chunks);
  const int start = last - 1 - begin, stop = max(last - end, first);
  if (start < stop) return;
  aim(start);
  fetch(start), fetch_span(start);
  bool held = false;  // whether the history has the chunk's states
  for (int walked = start; walked >= stop; --walked) {
    const int chunk = chunk_at(walked), buffer = rounds & 1;
    const bool second = is_second(chunk);
    const int base = second ? kChunk : 0;
    float h[kOwn][kMine];
    Chunk of;
    if (!held) begin_span(h);
    if (second) ascend_first(chunk_at(walked - 1), h);
    gate(chunk, of);
    load_B_C<T>(shared_address(memory.raw().B_C) + block.offsets.B_C_matrices[Place().lane], of);
    // A first chunk's successor is of another span; a second's is fetched while slots become free.
    if (!second && walked > stop) fetch(walked - 1), fetch_span(walked - 1);
    __syncwarp();
    if (!held) ascend(base, h, of);
    if (walked < start) store_rows(walked + 1, buffer ^ 1);
    sum_over_channels(base, buffer);
    descend(walked, base, second && walked > stop, buffer, of);
    arrive(block.finished);
    ++rounds;
    held = second;
  }
  store_rows(stop, (rounds & 1) ^ 1);
  __syncthreads();
}

template <class T, bool kAligned>
__global__ void __launch_bounds__(kBackwardWarps<T>* kWarp, kBackwardBlocks)
    backward_kernel(const __grid_constant__ BackwardArgs<T> args) {
  extern __shared__ __align__(128) unsigned char shared[];
  auto* const warps = reinterpret_cast<WarpMemory*>(shared);
  auto& block = *reinterpret_cast<BlockMemory*>(warps + args.plan.warps);
  if (threadIdx.x == 0) init_barrier(block.finished, static_cast<int>(blockDim.x));
  block.offsets.fill(threadIdx.x % kWarp);
  Walker<T, kAligned> walker(args, block, warps);
  const int64_t slot = blockIdx.x, each = args.plan.chunks;
  const int64_t begin = slot * args.plan.share;
  const int64_t end = min(begin + args.plan.share, args.plan.walks * each);
  for (int64_t at = (end - 1) / each; at >= begin / each && begin < end; --at) {
    const int from = static_cast<int>(max(begin - at * each, static_cast<int64_t>(0)));
    const int to = static_cast<int>(min(end - at * each, each));
    const Item item(args, static_cast<int>(at));
    walker.init(item);
    from > 0 ? walker.take(slot - 1) : walker.enter(item);
    walker.walk(item, from, to);
    to < each ? walker.leave(slot) : walker.store_channels(item);
  }
}

// Whether rows consist of aligned pieces of 16 bytes.
template <class T>
bool pieces_aligned(const Rows<T>& rows) {
  return rows.data == nullptr ||
         (reinterpret_cast<uintptr_t>(rows.data) % 16 == 0 && rows.batch_stride % kPiece == 0 &&
          rows.token_stride % kPiece == 0);
}
template <class T>
bool pieces_aligned(const Backward<T>& work) {
  const Inputs<T>& in = work.in;
  bool good = in.state == kBlock && in.channels % kPiece == 0 && pieces_aligned(in.z) &&
              pieces_aligned(work.grad_out) && pieces_aligned(work.grad_z) &&
              pieces_aligned(work.out);
  for (int d = 0; d < in.directions; ++d) {
    const Direction<T>& dir = in.direction[d];
    good = good && pieces_aligned(dir.u) && pieces_aligned(dir.delta) && pieces_aligned(dir.B) &&
           pieces_aligned(dir.C) && pieces_aligned(work.grad[d].u) &&
           pieces_aligned(work.grad[d].delta);
  }
  return good;
}

}  // namespace

int backward_shared_bytes(int warps) {
  return static_cast<int>(sizeof(BlockMemory) + warps * sizeof(WarpMemory));
}

template <class T>
cudaError_t launch_backward(const BackwardArgs<T>& args, cudaStream_t stream) {
  const auto kernel =
      pieces_aligned(args.work) ? backward_kernel<T, true> : backward_kernel<T, false>;
  const int shared = backward_shared_bytes(args.plan.warps);
  cudaError_t error = allow_shared_memory(kernel, shared);
  if (error == cudaSuccess && args.plan.share % args.plan.chunks != 0) {  // walks are shared
    error = cudaMemsetAsync(args.left, 0, args.plan.slots * sizeof(int), stream);
  }
  if (error != cudaSuccess) return error;
  kernel<<<static_cast<unsigned>(args.plan.slots), args.plan.warps * kWarp, shared, stream>>>(args);
  return cudaGetLastError();
}

template cudaError_t launch_backward(const BackwardArgs<__half>&, cudaStream_t);
template cudaError_t launch_backward(const BackwardArgs<__nv_bfloat16>&, cudaStream_t);

}  // namespace vim::ops::scan::cuda
