// What the kernels of the projections share, and how they call each other.
#pragma once

#include <algorithm>

#include "ops/bidirectional_mixer/cuda_projections.h"

namespace vim::ops::mixer::cuda {

inline cudaError_t processors_of_device(int& count) {
  int device = 0;
  const cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  return cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
}

// Pieces of work shared out to at most `most` blocks, or one.
struct Cut {
  int blocks, each;
};
inline Cut cut_evenly(int64_t pieces, int most) {
  const int64_t blocks = std::max(most, 1);
  const int64_t each = std::max<int64_t>(1, (pieces + blocks - 1) / blocks);
  return {static_cast<int>((pieces + each - 1) / each), static_cast<int>(each)};
}

// A product of both directions, out [tokens, columns] and a [tokens, depth] in rows `a_stride`
// apart; depth is at most kMaxWidth.
template <class T>
struct Product {
  struct Direction {
    const T *a, *b;
    T* out;
  };
  int64_t tokens;
  int depth, columns;
  int64_t a_stride;
  Direction direction[2];
};
// out = a b^T, b [columns, depth].
template <class T>
cudaError_t product(const Product<T>& work, int processors, cudaStream_t stream);
// out += a b, b [depth, columns].
template <class T>
cudaError_t add_product(const Product<T>& work, int processors, cudaStream_t stream);

// A vector of `columns` numbers as the sum of `rows` ones, `stride` apart; its first `first`
// numbers go to to[0], the others to to[1]. All counts are multiples of 4, all pointers aligned to
// 16 bytes.
struct PartialSums {
  const float* parts;
  int64_t stride;
  int rows, columns;
  float* to[2];
  int first;
};

// Of a direction, where each block has left `floats` numbers of the one, then of the other.
inline PartialSums partial_sums(const float* workspace, int direction, int blocks, int64_t floats,
                                float* const (&to)[2], int first) {
  return {workspace + direction * floats, 2 * floats,     blocks,
          static_cast<int>(floats),       {to[0], to[1]}, first};
}

// The kernels that leave partial sums of the weights' gradients in `workspace`, of which they need
// so many floats, and say what is to be added up for each direction.
int64_t step_workspace(const ProjectionShape& shape, int processors);
int64_t input_workspace(const ProjectionShape& shape, int processors);
template <class T>
cudaError_t step_gradients(const ProjectionGradients<T>& work, float* workspace, int processors,
                           PartialSums (&sums)[2], cudaStream_t stream);
template <class T>
cudaError_t input_gradients(const ProjectionGradients<T>& work, float* workspace, int processors,
                            PartialSums (&sums)[2], cudaStream_t stream);

// What a block of theirs has in shared memory.
int step_shared_bytes(const ProjectionShape& shape);
int input_shared_bytes();
int product_shared_bytes(int depth);

}  // namespace vim::ops::mixer::cuda
