// The forward scan where there are few channels, or more than 16 states.
//
// A block is both directions of up to three rows of eight channels of a sample. Its warps have one
// of three kinds of work, and hand tiles of 32 tokens on through shared memory, two of them in turn
// (45, 73 or 102 KB; 111 in fp32): "fillers" turn delta and u into delta and delta * u and lay out
// B and C; "scanners" do nothing but scan eight states of a row each; "finishers" add D u and what
// the other direction has left in `out`, gate and store, and copy the states that training keeps.
// As in the wide kernel the directions meet half-way. What is read from device memory is asked for
// a tile ahead. In place of delta, fillers take the narrow rows that it is a product of, if wanted.
//
// A scanner's lane has two states of a channel in registers. For bf16 all but the recurrence is
// left to matrix instructions, so that a state and token costs a multiplication, an exponential, a
// multiply-add, three quarters of a matrix instruction and as much of an access to shared memory:
// - delta is given to the four lanes that share a channel by a product with a column of ones;
// - the inputs delta u B of two tokens are a product of two columns and two rows;
// - h is, as it lies in registers, an operand of the product with C that sums over states.
// Matrix instructions read 11 bits of a number: bf16 goes without the others. fp16 and fp32 do the
// same with ordinary instructions. States and sums are float. Bytes moved are those of the wide
// kernel: u, delta, B, C of both directions, z and out.
//
// Blocks of three rows have three scanners a scheduler beside three other warps, and are bound by
// special functions, accesses to shared and device memory and issue together: 65 to 71 % of each.
// One row, for few samples, is bound by the latency of a scanner's instructions.
#include "ops/selective_scan/cuda_launch.h"
#include "ops/selective_scan/cuda_split_fill.cuh"
#include "ops/selective_scan/cuda_split_finish.cuh"
#include "ops/selective_scan/cuda_split_scanner.cuh"
#include "ops/shared_memory.h"

namespace vim::ops::scan::cuda {
namespace split {
namespace {

// By all threads of a block.
template <class Numbers>
__device__ void clear(Numbers& numbers) {
  auto* const to = reinterpret_cast<float*>(&numbers);
  for (int i = threadIdx.x; i < static_cast<int>(sizeof(numbers) / sizeof(float));
       i += blockDim.x) {
    to[i] = 0;
  }
}

template <class T, int kParts, int kRows, bool kAligned, bool kSave, bool kBySteps>
__global__ void __launch_bounds__(2 * Warps<kParts, kRows>::kCount * kWarp, 1)
    split_kernel(const __grid_constant__ Args<T> args) {
  using W = Warps<kParts, kRows>;
  extern __shared__ __align__(16) unsigned char bytes[];
  auto& memory = *reinterpret_cast<Memory<T, kParts, kRows>*>(bytes);
  const Inputs<T>& in = args.work.in;
  const int directions = in.directions;
  const int sample = blockIdx.x / args.blocks;
  const int first = blockIdx.x % args.blocks * (kRows * kRow);
  if (threadIdx.x == 0) {
    for (int d = 0; d < directions; ++d) {
      for (int slot = 0; slot < 2; ++slot) {
        memory.of[d].filled[slot].init(W::kFillers);
        memory.of[d].scanned[slot].init(W::kScanners);
        memory.of[d].drained[slot].init(W::kFinishers);
      }
    }
    memory.middle.init(directions * W::kFinishers);
  }
  for (int d = 0; d < directions; ++d) {
    for (auto& tile : memory.of[d].tile) clear(tile.input);
  }
  __syncthreads();
  // Scanning warps come first, so that every scheduler has as many of them.
  int warp = threadIdx.x / kWarp;
  if (warp < directions * W::kScanners) {
    const int direction = warp / W::kScanners;
    const Direction<T>& dir = in.direction[direction];
    Scanner<T, kParts, kRows, kSave> scanner{args, memory.of[direction],
                                             Tiles(in.length, dir.reverse), warp % kParts,
                                             warp % W::kScanners / kParts};
    scanner.init(dir, direction, sample, first);
    scanner.scan();
    return;
  }
  warp -= directions * W::kScanners;
  if (warp < directions * W::kTeams * W::kFillers) {
    const int team = warp / W::kFillers / directions, direction = warp / W::kFillers % directions;
    fill_tiles<T, kParts, kRows, kAligned, kBySteps>(args, direction, memory.of[direction], team,
                                                     warp % W::kFillers, sample, first);
    return;
  }
  warp -= directions * W::kTeams * W::kFillers;
  const int direction = warp / W::kFinishers;
  const Direction<T>& dir = in.direction[direction];
  Finisher<T, kParts, kRows, kAligned, kSave> finisher{args,
                                                       memory.of[direction],
                                                       memory.middle,
                                                       Tiles(in.length, dir.reverse),
                                                       warp % W::kFinishers,
                                                       Place<kRows>(warp % W::kFinishers)};
  finisher.init(dir, direction, sample, first);
  finisher.finish_all();
}

template <class T, int kParts, int kRows, bool kAligned, bool kBySteps = false>
cudaError_t launch(const Forward<T>& work, cudaStream_t stream) {
  const Inputs<T>& in = work.in;
  constexpr int kChannels = kRows * kRow, kShared = sizeof(Memory<T, kParts, kRows>);
  const Args<T> args{work, static_cast<int>((in.channels + kChannels - 1) / kChannels)};
  const auto run = [&](auto kernel) {
    const cudaError_t error = allow_shared_memory(kernel, kShared);
    if (error != cudaSuccess) return error;
    kernel<<<static_cast<unsigned>(in.batch * args.blocks),
             in.directions * Warps<kParts, kRows>::kCount * kWarp, kShared, stream>>>(args);
    return cudaGetLastError();
  };
  if constexpr (!kBySteps) {
    if (work.saved != nullptr) return run(split_kernel<T, kParts, kRows, kAligned, true, false>);
  }
  return run(split_kernel<T, kParts, kRows, kAligned, false, kBySteps>);
}

// Whether so many neighbours can be read as one.
template <class T>
bool aligned(const Rows<T>& rows, int bytes) {
  const int count = bytes / sizeof(T);
  return rows.data == nullptr || (reinterpret_cast<uintptr_t>(rows.data) % bytes == 0 &&
                                  rows.batch_stride % count == 0 && rows.token_stride % count == 0);
}
template <class T>
bool aligned(const Forward<T>& work) {
  const Inputs<T>& in = work.in;
  bool all =
      in.channels % kRow == 0 && in.state == 2 * kRow && aligned(in.z, 16) && aligned(work.out, 16);
  for (int d = 0; d < in.directions; ++d) {
    const Direction<T>& dir = in.direction[d];
    all =
        all && aligned(dir.u, 16) && aligned(dir.B, 4 * sizeof(T)) && aligned(dir.C, 4 * sizeof(T));
    const Steps<T>& steps = work.steps[d];
    all = all && (work.has_steps()
                      ? aligned(steps.rows, 8) && reinterpret_cast<uintptr_t>(steps.weight) % 8 == 0
                      : aligned(dir.delta, 16));
  }
  return all;
}

}  // namespace
}  // namespace split

template <class T>
int split_shared_bytes(int rows) {
  return static_cast<int>(rows == 1   ? sizeof(split::Memory<T, 2, 1>)
                          : rows == 2 ? sizeof(split::Memory<T, 2, 2>)
                                      : sizeof(split::Memory<T, 2, 3>));
}

template <class T>
bool split_takes_steps(const Forward<T>& work, int rows) {
  return sizeof(T) == 2 && (rows == 1 || rows == 3) && work.saved == nullptr && work.has_steps() &&
         split::aligned(work);
}

template <class T>
cudaError_t forward_split(const Forward<T>& work, int rows, cudaStream_t stream) {
  using split::launch;
  if constexpr (sizeof(T) == 2) {
    if (work.has_steps()) {
      return rows == 1 ? launch<T, 2, 1, true, true>(work, stream)
                       : launch<T, 2, 3, true, true>(work, stream);
    }
  }
  if (work.in.state > 32) return launch<T, 8, 1, false>(work, stream);
  if (work.in.state > 16) return launch<T, 4, 1, false>(work, stream);
  if (!split::aligned(work)) return launch<T, 2, 1, false>(work, stream);
  return rows == 1   ? launch<T, 2, 1, true>(work, stream)
         : rows == 2 ? launch<T, 2, 2, true>(work, stream)
                     : launch<T, 2, 3, true>(work, stream);
}

#define VIM_INSTANTIATE(T)                                 \
  template int split_shared_bytes<T>(int);                 \
  template bool split_takes_steps(const Forward<T>&, int); \
  template cudaError_t forward_split(const Forward<T>&, int, cudaStream_t);
VIM_INSTANTIATE(float)
VIM_INSTANTIATE(__half)
VIM_INSTANTIATE(__nv_bfloat16)
#undef VIM_INSTANTIATE

}  // namespace vim::ops::scan::cuda
