// The CPU kernels of the root-mean-square norm: plain arguments and their launchers, one set an
// instruction set. Tensors are [rows, channels] without gaps.
#pragma once

#include <stdint.h>

#include "ops/cpu_isa.h"

namespace vim::ops::norm {

// The gradient of the weight is summed within blocks of this many rows, then over the blocks.
inline constexpr int64_t kRowBlock = 128;

template <class T>
struct Forward {
  int64_t rows, channels;
  const T *x, *residual;  // residual may be null
  const T* weight;        // [channels]
  T eps;
  T *y, *sum;  // sum = x + residual, null without residual
  // For the backward pass, or null: sum * scale, and [rows] of 1 / sqrt(mean(sum^2) + eps).
  T *normed, *scale;
};

template <class T>
struct Backward {
  int64_t rows, channels;
  const T *grad_y, *grad_sum;  // grad_sum may be null
  const T *normed, *weight, *scale;
  T* grad_x;
  T* grad_weight;  // [row blocks, channels], zero on entry; to be summed over the blocks
};

// Forward: an item is a row; backward: a block of rows.
template <class T>
struct Kernels {
  void (*forward)(const Forward<T>&, int64_t begin, int64_t end);
  void (*backward)(const Backward<T>&, int64_t begin, int64_t end);
};

}  // namespace vim::ops::norm

namespace vim::ops {
VIM_DECLARE_KERNELS(norm::Kernels<float>, norm_f32)
VIM_DECLARE_KERNELS(norm::Kernels<double>, norm_f64)
}  // namespace vim::ops
