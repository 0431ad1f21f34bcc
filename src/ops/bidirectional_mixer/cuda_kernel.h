// Small matrices of float brought into another order and storage type, many in one launch: what the
// mixer does with its weights before the work. Without torch.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

namespace vim::ops::mixer::cuda {

enum class Rule {
  kCopy,         // T(from)
  kNegativeExp,  // -exp(from), as float
};

// `from` [rows, columns] into the corner of `to` [to_rows, to_columns], the rest of which is zero.
// Strides are those of the rows, in elements.
struct Move {
  Rule rule;
  const float* from;
  int64_t from_stride;
  int rows, columns;
  void* to;
  int64_t to_stride;
  int to_rows, to_columns;
};

inline constexpr int kMaxMoves = 10;

// T is the storage type of what kCopy writes.
template <class T>
void move(const Move* moves, int count, cudaStream_t stream);

}  // namespace vim::ops::mixer::cuda
