// The CPU kernels of the causal convolution: plain arguments and their launchers, one set an
// instruction set.
#pragma once

#include "ops/cpu_isa.h"
#include "ops/rows.h"

namespace vim::ops::conv {

template <class T>
struct Inputs {
  int64_t length, channels, taps;
  Rows<const T> x;  // [batch, length, channels]
  const T* weight;  // [taps, channels]
  const T* bias;    // [channels] or null
  bool silu;
};

template <class T>
struct Forward {
  Inputs<T> in;
  Rows<T> out;
};

template <class T>
struct Backward {
  Inputs<T> in;
  Rows<const T> grad_out;
  Rows<T> grad_x;
  // [batch, taps, channels] and [batch, channels] or null, zero on entry; to be summed over the
  // batch.
  T *grad_weight, *grad_bias;
};

// A work item is a (sample, block of channels of one vector). Items may run on any thread in any
// order; each thread of a backward pass has a scratch of its own.
template <class T>
struct Kernels {
  int lanes;  // channels in a block
  void (*forward)(const Forward<T>&, int64_t begin, int64_t end);
  void (*backward)(const Backward<T>&, int64_t begin, int64_t end, T* scratch);
  int64_t (*backward_scratch)(const Inputs<T>&);  // elements
};

}  // namespace vim::ops::conv

namespace vim::ops {
VIM_DECLARE_KERNELS(conv::Kernels<float>, conv_f32)
VIM_DECLARE_KERNELS(conv::Kernels<double>, conv_f64)
}  // namespace vim::ops
