// How the inputs of the backward scan come to shared memory, a chunk ahead.
#pragma once

#include "ops/selective_scan/cuda_backward_walker.cuh"

namespace vim::ops::scan::cuda {
namespace {

// Eight numbers, of which so many are there.
template <class T>
__device__ uint4 gather(const T* from, int count) {
  uint32_t words[kPiece / 2];
#pragma unroll
  for (int i = 0; i < kPiece / 2; ++i) {
    const auto one = [&](int j) { return j < count ? to_float(from[j]) : 0.0f; };
    words[i] = pack<T>(one(2 * i), one(2 * i + 1));
  }
  return {words[0], words[1], words[2], words[3]};
}

__device__ __forceinline__ unsigned char* bytes_of(uint4* pieces) {
  return reinterpret_cast<unsigned char*>(pieces);
}

// What a lane copies: of eight tokens' rows of two tensors, a half of a row. (Of rows of B and C,
// column / 2 is the tensor and `row` the token.)
struct RowPlace {
  uint32_t tensor, k, piece;
  __device__ explicit RowPlace(const Place& at)
      : tensor(at.lane / 16), k(at.lane / 2 % 8), piece(at.lane % 2) {}
};

// Before the first chunk: where copies begin.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::aim(int walked) {
  const Place at;
  const RowPlace place(at);
  const Sources& from = sources();
  const int chunk = chunk_at(walked);
  const auto set = [&](Copy which, uint32_t tensor, const Source* sources, int row,
                       uint32_t of_row) {
    memory.from[which][at.lane] = reinterpret_cast<uint64_t>(sources[tensor].at(row, of_row));
    memory.step[which][tensor] =
        static_cast<int>(sources[tensor].stride) * (flip == 0 ? -kChunk : kChunk);
  };
  const uint32_t channel = warp * kUnit + place.piece * kPiece;
  const int t = token(chunk, place.k);
  set(kSteps, place.tensor, &from.u, t, channel * sizeof(T));
  set(kGates, place.tensor, &from.grad_out, t, channel * sizeof(T));
  set(kSums, 0, &from.sum, t, channel * sizeof(T));
  set(kB_C, at.column / 2, &from.B, token(chunk, at.row), at.column % 2 * kPiece * sizeof(T));
}

// Copies so many numbers of the lane's piece, or none; then goes on to the next, or not.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::copy(const Place& at, Copy which, uint32_t tensor, void* to,
                                          int count, bool last) const {
  uint64_t& next = memory.from[which][at.lane];
  const uint64_t from = next;
  if constexpr (kAligned) {
    copy_piece(to, reinterpret_cast<const void*>(from), count > 0);
  } else {
    *static_cast<uint4*>(to) = gather(reinterpret_cast<const T*>(from), count);
  }
  if (last) next = from + memory.step[which][tensor];
}

// What the states of a chunk follow from; for the last time, or once more later.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::copy_steps(const Place& at, int chunk, RawSteps& raw,
                                                bool last) const {
  const RowPlace place(at);
  const int channels = channels_left - static_cast<int>(place.piece * kPiece);
  copy(at, kSteps, place.tensor, bytes_of(raw.u) + block.offsets.row[at.lane],
       token(chunk, place.k) < length ? channels : 0, last);
  const int begin = args.state_begin + static_cast<int>(at.column % 2 * kPiece);
  copy(at, kB_C, at.column / 2, bytes_of(raw.B_C) + block.offsets.B_C[at.lane],
       token(chunk, at.row) >= length ? 0
       : kAligned                     ? kPiece
                                      : static_cast<int>(args.work.in.state) - begin,
       last);
}

// The inputs of a chunk.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::fetch(int walked) {
  const Place at;
  const RowPlace place(at);
  const int chunk = chunk_at(walked);
  Raw& raw = memory.raw();
  __syncwarp();
  copy_steps(at, chunk, raw, true);
  const int channels =
      token(chunk, place.k) < length ? channels_left - static_cast<int>(place.piece * kPiece) : 0;
  const uint32_t piece = block.offsets.row[at.lane];
  if (args.work.in.z.data != nullptr || at.lane < 16) {
    copy(at, kGates, place.tensor, bytes_of(raw.grad) + piece, channels, true);
  }
  if (gates && at.lane < 16) copy(at, kSums, 0, bytes_of(raw.sum) + piece, channels, true);
}
// What else the chunk that the walk comes to a span by needs: its states, and where it is the
// second, the steps of the first.
template <class T, bool kAligned>
__device__ void Walker<T, kAligned>::fetch_span(int walked) {
  const Place at;
  const int chunk = chunk_at(walked);
  const uint32_t channel = at.lane / 2, piece = at.lane % 2;
  const bool there = static_cast<int>(channel) < channels_left;
  const uint32_t padded =
      kAligned ? kBlock : static_cast<uint32_t>(padded_state(args.work.in.state));
  const uint32_t of_row = ((warp * kUnit + channel) * padded + piece * kPiece) * sizeof(Stored);
  copy_piece(memory.history[kStatesSlot] + block.offsets.states[at.lane],
             sources().states.at(chunk * kChunk / kSpacing<T>, there ? of_row : 0), there);
  if (is_second(chunk)) copy_steps(at, chunk_at(walked - 1), memory.steps(), false);
}

}  // namespace
}  // namespace vim::ops::scan::cuda
