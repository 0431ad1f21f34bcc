// What the kernels of the backward pass hand to each other.
#pragma once

#include "ops/selective_scan/cuda_device.cuh"
#include "ops/selective_scan/cuda_launch.h"

namespace vim::ops::scan::cuda {

// A block of the main kernel: warps at most, and channels of one.
template <class T>
inline constexpr int kBackwardWarps = sizeof(T) == 2 ? 8 : 4;
template <class T>
inline constexpr int kBackwardUnit = sizeof(T) == 2 ? 16 : 32;
inline constexpr int kBackwardBlocks = 2;    // of the most warps, that a processor holds
inline constexpr int kEnteringWarps = 4;     // of a block of the first kernel
inline constexpr int kRows = 2 * kBlock;     // dB and dC of a token
inline constexpr int kParts = kBlock + 2;    // dA, dD, dbias of a channel
inline constexpr int kCarried = kBlock + 4;  // g, dA, dD, dbias of a thread

// How the work is divided, and where the parts lie in the workspace.
struct BackwardPlan {
  int channel_blocks, warps;  // blocks of channels of a sample, and warps in one
  int segments, chunks;       // of a walk, and chunks in one
  int parts, part_chunks;     // of a segment in the first kernel, and chunks in one
  // For 16-bit types: the segments of all walks, the blocks that share them out, and the chunks
  // that a block takes.
  int64_t walks, slots, share;
  // Offsets.
  int64_t parts_of_rows, parts_of_channels, entering, decay, unfinished, carried, left, bytes;
};

template <class T>
struct BackwardArgs {
  Backward<T> work;
  BackwardPlan plan;
  int state_begin;  // of the block of states of this launch
  bool wide_B_C;
  bool partial;        // whether a block of channels reaches over the last
  float* rows;         // [direction, channel block, sample, token, kRows]
  float* channels;     // [sample * segment, direction, kParts, channel]
  float* entering;     // [direction, sample, segment, part, channel, kBlock]
  float* decay;        // [direction, sample, segment, part, channel]
  float2* unfinished;  // [direction, sample, token, channel], or null for one block of states
  float* carried;      // [slot, kCarried, thread]
  int* left;           // [slot]: whether `carried` is there

  // Where `entering` and `decay` have the parts of a walk from one of its segments on.
  VIM_HOST_DEVICE int64_t part_of(int direction, int64_t sample, int segment) const {
    return ((direction * work.in.batch + sample) * plan.segments + segment) * plan.parts;
  }
};

// Shared memory of a block of the main kernel: for 16-bit types, and for float.
int backward_shared_bytes(int warps);
int backward_float_shared_bytes(int warps);

// The three kernels of the backward pass, in their order; the first only where there are segments.
template <class T>
cudaError_t launch_entering(const BackwardArgs<T>& args, cudaStream_t stream);
template <class T>
cudaError_t launch_backward(const BackwardArgs<T>& args, cudaStream_t stream);
cudaError_t launch_backward(const BackwardArgs<float>& args, cudaStream_t stream);
template <class T>
cudaError_t launch_totals(const BackwardArgs<T>& args, cudaStream_t stream);

}  // namespace vim::ops::scan::cuda
