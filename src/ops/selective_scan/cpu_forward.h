// The forward pass of the CPU scan walks the chunks from the first to the last, and keeps the state
// before each where a backward pass follows.
#pragma once

#include "ops/selective_scan/cpu_chunk.h"

namespace vim::ops::VIM_ISA {
namespace {

using scan::Forward;

// One block of channels through one chunk; `next` is where the work goes on.
template <class T>
void forward_block(const Forward<T>& work, const Place& at, const Place& next, Row<T>* state) {
  const Inputs<T>& in = work.in;
  Row<T> delta[kChunk], delta_u[kChunk], y[kChunk];
  prefetch(in, next);
  prefetch(work.out, next);
  if (work.states) {
    T* saved = work.states + saved_offset(in, at);
    for (int64_t n = 0; n < in.state; ++n) store(saved + n * in.channels, load(state[n]), at.lanes);
  }
  prepare(in, at, delta, delta_u, y);
  const auto keep_nothing = [](auto...) {};
  int64_t first = 0;
  for (; first + kTogether <= in.state; first += kTogether) {
    scan_states<kTogether>(in, at, first, delta, delta_u, state + first, y, keep_nothing);
  }
  for (; first < in.state; ++first) {
    scan_states<1>(in, at, first, delta, delta_u, state + first, y, keep_nothing);
  }
  for (int t = 0; t < at.tokens; ++t) {
    Vector<T> out = load(y[t]);
    if (in.z.data) {
      const Vector<T> z = read(in.z, at, t);
      out *= z * sigmoid<T>(z);
    }
    write(work.out, at, t, out);
  }
}

template <class T>
void forward(const Forward<T>& work, int64_t begin, int64_t end, T* scratch) {
  const Inputs<T>& in = work.in;
  for (int64_t item = begin; item < end; ++item) {
    const int64_t sample = item / in.groups;
    const Blocks blocks = blocks_of(in, item % in.groups);
    Row<T>* states = (Row<T>*)scratch;  // [blocks, state]
    for (int64_t i = 0; i < (blocks.end - blocks.begin) * in.state; ++i) {
      store(states[i], Vector<T>{});
    }
    for (int64_t chunk = 0; chunk < chunks(in); ++chunk) {
      for (int64_t block = blocks.begin; block < blocks.end; ++block) {
        const Place next = block + 1 < blocks.end ? place(in, sample, block + 1, chunk)
                                                  : place(in, sample, blocks.begin, chunk + 1);
        forward_block(work, place(in, sample, block, chunk), next,
                      states + (block - blocks.begin) * in.state);
      }
    }
  }
}

template <class T>
int64_t forward_scratch(const Inputs<T>& in) {
  return largest_group(in) * in.state * kLanes<T>;
}

}  // namespace
}  // namespace vim::ops::VIM_ISA
