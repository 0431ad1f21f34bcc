// The backward pass of the CPU scan walks the chunks from the last to the first. For a few states
// at a time it recomputes the chunk's states and decays from the saved state before it, which stay
// in the L1 cache, then goes back through the tokens. The gradients of B and C are sums over
// channels: they are kept per lane over all blocks of a group, and the lanes are added once a
// chunk.
#pragma once

#include "ops/selective_scan/cpu_chunk.h"

namespace vim::ops::VIM_ISA {
namespace {

using scan::Backward;

// The gradients of B and C for one state and chunk, the lanes not yet added.
template <class T>
struct LaneSums {
  Row<T> grad_B[kChunk], grad_C[kChunk];
};

// What the backward pass of a group works on; the pointers lead to its thread's memory.
template <class T>
struct Scratch {
  LaneSums<T>* sums;  // [state], over the blocks of the group
  Row<T>* carried;    // [blocks, state], gradient of the state before the chunk
  // Of the block.
  Row<T> delta[kChunk], delta_u[kChunk], y[kChunk];
  Row<T> grad_y[kChunk], grad_z_by_y[kChunk], grad_delta[kChunk], grad_delta_u[kChunk];
  // Of the states that are worked on together; in `history` the state before the chunk comes first.
  Row<T> decay[kTogether][kChunk], history[kTogether][kChunk + 1], last[kTogether];
};

template <class T>
VIM_INLINE void divide_scratch(T* memory, int64_t states, Scratch<T>& s) {
  s.sums = (LaneSums<T>*)memory;
  s.carried = (Row<T>*)(s.sums + states);
}

// The decays of `kStates` states and the states themselves before and after each token of the
// chunk.
template <int kStates, class T>
VIM_INLINE void recompute_states(const Backward<T>& work, const Place& at, int64_t first,
                                 Scratch<T>& s) {
  const T* saved = work.states + saved_offset(work.in, at) + first * work.in.channels;
  for (int j = 0; j < kStates; ++j) {
    const Vector<T> h = load(saved + j * work.in.channels, at.lanes);
    store(s.last[j], h);
    store(s.history[j][0], h);
  }
  scan_states<kStates>(
      work.in, at, first, s.delta, s.delta_u, s.last,
      s.y, [&](int t, int j, Vector<T> decay, Vector<T> h) __attribute__((always_inline)) {
        store(s.decay[j][t], decay);
        store(s.history[j][t + 1], h);
      });
}

// Through the gate to the gradient of the scan's output, and of D. That of z waits for y.
template <class T>
VIM_INLINE void gate_backward(const Backward<T>& work, const Place& at, Scratch<T>& s) {
  const Inputs<T>& in = work.in;
  Vector<T> grad_D = {};
  for (int t = 0; t < at.tokens; ++t) {
    Vector<T> grad_y = read(work.grad_out, at, t);
    if (in.z.data) {
      const Vector<T> z = read(in.z, at, t), gate = sigmoid<T>(z);
      const Vector<T> slope = gate * (T(1) + z * (T(1) - gate));
      store(s.grad_z_by_y[t], grad_y * slope);
      grad_y *= z * gate;
    }
    if (in.D) grad_D += grad_y * read(in.u, at, t);
    store(s.grad_y[t], grad_y);
    store(s.grad_delta[t], Vector<T>{});
    store(s.grad_delta_u[t], Vector<T>{});
  }
  if (in.D) {
    T* to = work.grad_D + at.sample * in.channels + at.channel;
    store(to, load(to, at.lanes) + grad_D, at.lanes);
  }
}

template <int kStates, class T>
VIM_INLINE void states_backward(const Backward<T>& work, const Place& at, int64_t first,
                                Row<T>* carried, Scratch<T>& s) {
  const Inputs<T>& in = work.in;
  const Rows<const T> B_rows = in.B, C_rows = in.C;  // copies, which no store can change
  LaneSums<T>* sums = s.sums + first;
  T* grad_A_rows = work.grad_A + (at.sample * in.state + first) * in.channels + at.channel;
  Vector<T> A[kStates], grad_A[kStates], grad_h[kStates], h[kStates];
#pragma GCC unroll 8
  for (int j = 0; j < kStates; ++j) {
    A[j] = load(in.A + (first + j) * in.channels + at.channel, at.lanes);
    grad_A[j] = load(grad_A_rows + j * in.channels, at.lanes);
    grad_h[j] = load(carried[first + j]);
    h[j] = load(s.history[j][at.tokens]);
  }
  for (int t = at.tokens - 1; t >= 0; --t) {
    const T* B = B_rows.at(at.sample, at.token + t) + first;
    const T* C = C_rows.at(at.sample, at.token + t) + first;
    const Vector<T> delta = load(s.delta[t]), x = load(s.delta_u[t]), grad_y = load(s.grad_y[t]);
    Vector<T> grad_delta = load(s.grad_delta[t]), grad_x = load(s.grad_delta_u[t]);
#pragma GCC unroll 8
    for (int j = 0; j < kStates; ++j) {
      grad_h[j] += grad_y * C[j];
      store(sums[j].grad_C[t], load(sums[j].grad_C[t]) + grad_y * h[j]);
      store(sums[j].grad_B[t], load(sums[j].grad_B[t]) + grad_h[j] * x);
      grad_x += grad_h[j] * B[j];
      grad_h[j] *= load(s.decay[j][t]);
      h[j] = load(s.history[j][t]);
      const Vector<T> grad_exponent = grad_h[j] * h[j];
      grad_A[j] += grad_exponent * delta;
      grad_delta += grad_exponent * A[j];
    }
    store(s.grad_delta[t], grad_delta);
    store(s.grad_delta_u[t], grad_x);
  }
#pragma GCC unroll 8
  for (int j = 0; j < kStates; ++j) {
    store(grad_A_rows + j * in.channels, grad_A[j], at.lanes);
    store(carried[first + j], grad_h[j]);
  }
}

// The gradients of u, of z, and of delta as it was given, before bias and softplus.
template <class T>
VIM_INLINE void finish_tokens(const Backward<T>& work, const Place& at, Scratch<T>& s) {
  const Inputs<T>& in = work.in;
  constexpr T kLn2 = T(0.69314718055994530942);  // A comes times log2(e)
  const Vector<T> bias = optional(in.delta_bias, at, T(0)), D = optional(in.D, at, T(0));
  Vector<T> grad_bias = {};
  for (int t = 0; t < at.tokens; ++t) {
    const Vector<T> u = read(in.u, at, t), grad_x = load(s.grad_delta_u[t]);
    write(work.grad_u, at, t, grad_x * load(s.delta[t]) + load(s.grad_y[t]) * D);
    if (in.z.data) write(work.grad_z, at, t, load(s.grad_z_by_y[t]) * load(s.y[t]));
    Vector<T> grad_delta = load(s.grad_delta[t]) * kLn2 + grad_x * u;
    if (in.delta_softplus) {
      const Vector<T> given = read(in.delta, at, t) + bias;
      grad_delta = given > T(20) ? grad_delta : grad_delta * sigmoid<T>(given);
    }
    write(work.grad_delta, at, t, grad_delta);
    grad_bias += grad_delta;
  }
  if (in.delta_bias) {
    T* to = work.grad_delta_bias + at.sample * in.channels + at.channel;
    store(to, load(to, at.lanes) + grad_bias, at.lanes);
  }
}

template <class T>
void block_backward(const Backward<T>& work, const Place& at, const Place& next, Row<T>* carried,
                    Scratch<T>& s) {
  prefetch(work.in, next);
  prefetch(work.grad_out, next);
  prefetch(work.grad_u, next);
  prefetch(work.grad_delta, next);
  prefetch(work.grad_z, next);
  const T* saved = work.states + saved_offset(work.in, next);
  for (int64_t n = 0; n < work.in.state; ++n) __builtin_prefetch(saved + n * work.in.channels);
  prepare(work.in, at, s.delta, s.delta_u, s.y);
  gate_backward(work, at, s);
  int64_t first = 0;
  for (; first + kTogether <= work.in.state; first += kTogether) {
    recompute_states<kTogether>(work, at, first, s);
    states_backward<kTogether>(work, at, first, carried, s);
  }
  for (; first < work.in.state; ++first) {
    recompute_states<1>(work, at, first, s);
    states_backward<1>(work, at, first, carried, s);
  }
  finish_tokens(work, at, s);
}

// Adds the lanes of the chunk's grad_B or grad_C, which one `part` says.
template <class T>
void add_lanes(Row<T> (LaneSums<T>::*part)[kChunk], const LaneSums<T>* states, const Inputs<T>& in,
               const Place& at, const Rows<T>& to) {
  constexpr int kWidth = kLanes<T>;
  for (int t = 0; t < at.tokens; ++t) {
    T* out = to.at(at.sample, at.token + t);
    for (int64_t first = 0; first < in.state; first += kWidth) {
      const int count = (int)smaller(kWidth, in.state - first);
      Vector<T> v[kWidth];
      for (int i = 0; i < kWidth; ++i) {
        v[i] = i < count ? load((states[first + i].*part)[t]) : Vector<T>{};
      }
      store(out + first, sums<T>(v), count);
    }
  }
}

template <class T>
void group_backward(const Backward<T>& work, int64_t sample, int64_t group, T* memory) {
  const Inputs<T>& in = work.in;
  Scratch<T> s;
  divide_scratch(memory, in.state, s);
  const Blocks blocks = blocks_of(in, group);
  Rows<T> grad_B = work.grad_B, grad_C = work.grad_C;
  grad_B.data += group * work.group_stride;
  grad_C.data += group * work.group_stride;
  for (int64_t i = 0; i < (blocks.end - blocks.begin) * in.state; ++i) {
    store(s.carried[i], Vector<T>{});
  }
  for (int64_t chunk = chunks(in) - 1; chunk >= 0; --chunk) {
    const Place first = place(in, sample, blocks.begin, chunk);
    for (int64_t n = 0; n < in.state; ++n) {
      for (int t = 0; t < first.tokens; ++t) {
        store(s.sums[n].grad_B[t], Vector<T>{});
        store(s.sums[n].grad_C[t], Vector<T>{});
      }
    }
    for (int64_t block = blocks.begin; block < blocks.end; ++block) {
      const Place next = block + 1 < blocks.end ? place(in, sample, block + 1, chunk)
                         : chunk > 0            ? place(in, sample, blocks.begin, chunk - 1)
                                                : first;
      block_backward(work, place(in, sample, block, chunk), next,
                     s.carried + (block - blocks.begin) * in.state, s);
    }
    add_lanes(&LaneSums<T>::grad_B, s.sums, in, first, grad_B);
    add_lanes(&LaneSums<T>::grad_C, s.sums, in, first, grad_C);
  }
}

template <class T>
void backward(const Backward<T>& work, int64_t begin, int64_t end, T* scratch) {
  for (int64_t item = begin; item < end; ++item) {
    group_backward(work, item / work.in.groups, item % work.in.groups, scratch);
  }
}

template <class T>
int64_t backward_scratch(const Inputs<T>& in) {
  return in.state * (sizeof(LaneSums<T>) / sizeof(T) + largest_group(in) * kLanes<T>);
}

}  // namespace
}  // namespace vim::ops::VIM_ISA
