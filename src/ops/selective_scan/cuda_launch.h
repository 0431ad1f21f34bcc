// Which kernel a problem goes to, and what its tensors allow.
#pragma once

#include "ops/selective_scan/cuda_kernel.h"

namespace vim::ops::scan::cuda {

// Whether every pair of neighbouring channels is aligned to its size.
template <class T>
bool pairs_aligned(const Rows<T>& rows) {
  return rows.data == nullptr || (reinterpret_cast<uintptr_t>(rows.data) % (2 * sizeof(T)) == 0 &&
                                  rows.batch_stride % 2 == 0 && rows.token_stride % 2 == 0);
}
template <class T>
bool pairs_aligned(const Inputs<T>& in) {
  bool aligned = in.channels % 2 == 0 && pairs_aligned(in.z);
  for (int d = 0; d < in.directions; ++d) {
    aligned = aligned && pairs_aligned(in.direction[d].u) && pairs_aligned(in.direction[d].delta);
  }
  return aligned;
}
template <class T>
bool pairs_aligned(const Forward<T>& work) {
  return pairs_aligned(work.in) && pairs_aligned(work.out);
}
template <class T>
bool pairs_aligned(const Backward<T>& work) {
  return pairs_aligned(work.in) && pairs_aligned(work.grad_out) && pairs_aligned(work.grad_z) &&
         pairs_aligned(work.out);
}

// Whether B and C have 16 states that can be read in pairs.
template <class T>
bool wide_B_C(const Inputs<T>& in) {
  bool wide = in.state == 16;
  for (int d = 0; d < in.directions; ++d) {
    wide = wide && pairs_aligned(in.direction[d].B) && pairs_aligned(in.direction[d].C);
  }
  return wide;
}

// Up to 16 states, two channels a thread.
template <class T>
cudaError_t forward_wide(const Forward<T>& work, cudaStream_t stream);
// Any number of states. Up to 16 of them, a block is 8, 16 or 24 channels: that many `rows` of 8.
template <class T>
cudaError_t forward_split(const Forward<T>& work, int rows, cudaStream_t stream);
// Of such a block.
template <class T>
int split_shared_bytes(int rows);
// Whether such blocks take steps in place of delta: of one row or three. Two rows are slower with
// them than without, by more than delta costs.
template <class T>
bool split_takes_steps(const Forward<T>& work, int rows);

}  // namespace vim::ops::scan::cuda
