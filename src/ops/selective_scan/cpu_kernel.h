// The CPU kernels of the selective scan: plain arguments and their launchers, one set an
// instruction set.
#pragma once

#include "ops/cpu_isa.h"
#include "ops/rows.h"

namespace vim::ops::scan {

// Training keeps the state before every chunk of this many tokens, and the backward pass recomputes
// the states between.
inline constexpr int64_t kChunk = 16;

template <class T>
struct Inputs {
  int64_t length, channels, state;
  int64_t groups;             // parts that the channels of a sample are divided into
  Rows<const T> u, delta, z;  // [batch, length, channels]; z may be absent
  Rows<const T> B, C;         // [batch, length, state]
  const T* A;                 // [state, channels], times log2(e)
  const T* D;                 // [channels] or null
  const T* delta_bias;        // [channels] or null
  bool delta_softplus;
};

template <class T>
struct Forward {
  Inputs<T> in;
  Rows<T> out;  // [batch, length, channels]
  T* states;    // [batch, chunks, state, channels], or null where no backward pass follows
};

template <class T>
struct Backward {
  Inputs<T> in;
  const T* states;
  Rows<const T> grad_out;
  Rows<T> grad_u, grad_delta, grad_z;
  // [groups, batch, length, state], in the order of `in.B`; to be summed over groups.
  Rows<T> grad_B, grad_C;
  int64_t group_stride;  // of grad_B and grad_C
  // [batch, state, channels] and [batch, channels], zero on entry; to be summed over the batch.
  T *grad_A, *grad_D, *grad_delta_bias;
};

// A work item is a (sample, group of channels). Items may run on any thread in any order, each
// thread with a scratch of its own.
template <class T>
struct Kernels {
  int lanes;  // channels in a vector; a group is made of whole vectors
  void (*forward)(const Forward<T>&, int64_t begin, int64_t end, T* scratch);
  void (*backward)(const Backward<T>&, int64_t begin, int64_t end, T* scratch);
  int64_t (*forward_scratch)(const Inputs<T>&);  // elements
  int64_t (*backward_scratch)(const Inputs<T>&);
};

}  // namespace vim::ops::scan

namespace vim::ops {
VIM_DECLARE_KERNELS(scan::Kernels<float>, scan_f32)
VIM_DECLARE_KERNELS(scan::Kernels<double>, scan_f64)
}  // namespace vim::ops
