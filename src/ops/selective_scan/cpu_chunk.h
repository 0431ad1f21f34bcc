// What both passes of the CPU scan do: find a chunk of tokens and a block of channels, read and
// write their rows, and take a few states over them.
#pragma once

#include "ops/selective_scan/cpu_kernel.h"
#include "ops/simd.h"

namespace vim::ops::VIM_ISA {
namespace {

using scan::Inputs;
using scan::kChunk;

// States that pass over a chunk together: bounded by registers.
#if defined(__AVX512F__)
constexpr int kTogether = 4;
#else
constexpr int kTogether = 2;
#endif

// A place in the work: one sample, one block of channels, one chunk of tokens.
struct Place {
  int64_t sample, channel, token;
  int lanes, tokens;
};

template <class T>
using Row = T[kLanes<T>];

template <class T>
inline constexpr bool kIsConst = false;
template <class T>
inline constexpr bool kIsConst<const T> = true;

VIM_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
VIM_INLINE int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

template <class T>
VIM_INLINE Place place(const Inputs<T>& in, int64_t sample, int64_t block, int64_t chunk) {
  const int64_t channel = block * kLanes<T>, token = chunk * kChunk;
  return {sample, channel, token, (int)smaller(kLanes<T>, in.channels - channel),
          (int)smaller(kChunk, in.length - token)};
}

template <class T>
VIM_INLINE int64_t chunks(const Inputs<T>& in) {
  return divide_up(in.length, kChunk);
}

// The blocks of channels of one group.
struct Blocks {
  int64_t begin, end;
};

template <class T>
VIM_INLINE Blocks blocks_of(const Inputs<T>& in, int64_t group) {
  const int64_t blocks = divide_up(in.channels, kLanes<T>);
  const int64_t per_group = divide_up(blocks, in.groups);
  return {smaller(group * per_group, blocks), smaller((group + 1) * per_group, blocks)};
}

template <class T>
VIM_INLINE int64_t largest_group(const Inputs<T>& in) {
  return divide_up(divide_up(in.channels, kLanes<T>), in.groups);
}

template <class T>
VIM_INLINE Vector<T> optional(const T* values, const Place& at, T otherwise) {
  return values ? load(values + at.channel, at.lanes) : broadcast(otherwise);
}

template <class T>
VIM_INLINE Vector<T> read(const Rows<const T>& rows, const Place& at, int t) {
  return load(rows.at(at.sample, at.token + t) + at.channel, at.lanes);
}
template <class T>
VIM_INLINE void write(const Rows<T>& rows, const Place& at, int t, Vector<T> v) {
  store(rows.at(at.sample, at.token + t) + at.channel, v, at.lanes);
}

// Asks for the lines of a later place, to read or to write: tokens lie a row apart, often on
// different pages, where the processor's own prefetching gives up. The place may be one that does
// not exist.
template <class T>
VIM_INLINE void prefetch(const Rows<T>& rows, const Place& later) {
  for (int t = 0; rows.data && t < kChunk; ++t) {
    __builtin_prefetch(rows.at(later.sample, later.token + t) + later.channel, !kIsConst<T>);
  }
}
template <class T>
VIM_INLINE void prefetch(const Inputs<T>& in, const Place& later) {
  prefetch(in.u, later);
  prefetch(in.delta, later);
  prefetch(in.z, later);
}

// Of the state before a chunk, among the saved ones.
template <class T>
VIM_INLINE int64_t saved_offset(const Inputs<T>& in, const Place& at) {
  const int64_t chunk = at.sample * chunks(in) + at.token / kChunk;
  return chunk * in.state * in.channels + at.channel;
}

// The chunk's token-wise values: delta, delta * u, and D * u, where the sum over states begins.
template <class T>
VIM_INLINE void prepare(const Inputs<T>& in, const Place& at, Row<T>* delta, Row<T>* delta_u,
                        Row<T>* y) {
  const Vector<T> bias = optional(in.delta_bias, at, T(0)), D = optional(in.D, at, T(0));
  for (int t = 0; t < at.tokens; ++t) {
    const Vector<T> u = read(in.u, at, t);
    Vector<T> d = read(in.delta, at, t) + bias;
    if (in.delta_softplus) d = softplus<T>(d);
    store(delta[t], d);
    store(delta_u[t], d * u);
    store(y[t], D * u);
  }
}

// Takes `kStates` states over the chunk and adds what they contribute to y. `keep` receives, for
// each token and state, what the backward pass needs.
template <int kStates, class T, class Keep>
VIM_INLINE void scan_states(const Inputs<T>& in, const Place& at, int64_t first,
                            const Row<T>* delta, const Row<T>* delta_u, Row<T>* state, Row<T>* y,
                            Keep keep) {
  const Rows<const T> B_rows = in.B, C_rows = in.C;  // copies, which no store can change
  const int tokens = at.tokens;
  Vector<T> A[kStates], h[kStates];
#pragma GCC unroll 8
  for (int j = 0; j < kStates; ++j) {
    A[j] = load(in.A + (first + j) * in.channels + at.channel, at.lanes);
    h[j] = load(state[j]);
  }
  for (int t = 0; t < tokens; ++t) {
    const T* B = B_rows.at(at.sample, at.token + t) + first;
    const T* C = C_rows.at(at.sample, at.token + t) + first;
    const Vector<T> d = load(delta[t]), x = load(delta_u[t]);
    Vector<T> sum = load(y[t]);
#pragma GCC unroll 8
    for (int j = 0; j < kStates; ++j) {
      const Vector<T> decay = exp2<T>(d * A[j]);
      h[j] = decay * h[j] + x * B[j];
      sum += h[j] * C[j];
      keep(t, j, decay, h[j]);
    }
    store(y[t], sum);
  }
#pragma GCC unroll 8
  for (int j = 0; j < kStates; ++j) store(state[j], h[j]);
}

}  // namespace
}  // namespace vim::ops::VIM_ISA
