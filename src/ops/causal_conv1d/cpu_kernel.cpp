// Depthwise causal convolution, channels as lanes: a block of channels (a vector) goes through the
// tokens. The backward pass recomputes the sum before SiLU and goes backwards in chunks, because
// token t's input needs the output gradients of tokens t .. t + taps - 1.
#include "ops/causal_conv1d/cpu_kernel.h"

#include "ops/simd.h"

namespace vim::ops::VIM_ISA {
namespace {

using conv::Backward;
using conv::Forward;
using conv::Inputs;

constexpr int64_t kChunk = 32;

template <class T>
using Row = T[kLanes<T>];

struct Place {
  int64_t sample, channel;
  int lanes;
};

VIM_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

template <class T>
VIM_INLINE Place place(const Inputs<T>& in, int64_t item) {
  const int64_t blocks = (in.channels + kLanes<T> - 1) / kLanes<T>;
  const int64_t channel = item % blocks * kLanes<T>;
  return {item / blocks, channel, (int)smaller(kLanes<T>, in.channels - channel)};
}

template <class T>
VIM_INLINE Vector<T> read(const Rows<const T>& rows, const Place& at, int64_t t) {
  return load(rows.at(at.sample, t) + at.channel, at.lanes);
}

template <class T>
VIM_INLINE Vector<T> weight(const Inputs<T>& in, const Place& at, int64_t tap) {
  return load(in.weight + tap * in.channels + at.channel, at.lanes);
}

// The sum before SiLU. Tap k meets token t - (taps - 1) + k.
template <class T>
VIM_INLINE Vector<T> convolve(const Inputs<T>& in, const Place& at, int64_t t) {
  const int64_t shift = t - (in.taps - 1);
  Vector<T> sum = in.bias ? load(in.bias + at.channel, at.lanes) : Vector<T>{};
  for (int64_t k = shift < 0 ? -shift : 0; k < in.taps; ++k) {
    sum += weight(in, at, k) * read(in.x, at, shift + k);
  }
  return sum;
}

template <class T>
void forward(const Forward<T>& work, int64_t begin, int64_t end) {
  const Inputs<T>& in = work.in;
  for (int64_t item = begin; item < end; ++item) {
    const Place at = place(in, item);
    for (int64_t t = 0; t < in.length; ++t) {
      Vector<T> y = convolve(in, at, t);
      if (in.silu) y *= sigmoid<T>(y);
      store(work.out.at(at.sample, t) + at.channel, y, at.lanes);
    }
  }
}

template <class T>
VIM_INLINE Vector<T> sum_gradient(const Backward<T>& work, const Place& at, int64_t t) {
  const Vector<T> grad = read(work.grad_out, at, t);
  if (!work.in.silu) return grad;
  const Vector<T> y = convolve(work.in, at, t), gate = sigmoid<T>(y);
  return grad * gate * (T(1) + y * (T(1) - gate));
}

template <class T>
VIM_INLINE void weight_gradient(const Backward<T>& work, const Place& at, int64_t start,
                                int64_t tokens, const Row<T>* grads) {
  const Inputs<T>& in = work.in;
  T* to = work.grad_weight + at.sample * in.taps * in.channels + at.channel;
  for (int64_t k = 0; k < in.taps; ++k, to += in.channels) {
    const int64_t shift = k - (in.taps - 1);
    Vector<T> sum = load(to, at.lanes);
    for (int64_t t = start + shift < 0 ? -start - shift : 0; t < tokens; ++t) {
      sum += load(grads[t]) * read(in.x, at, start + t + shift);
    }
    store(to, sum, at.lanes);
  }
  if (work.grad_bias == nullptr) return;
  T* bias = work.grad_bias + at.sample * in.channels + at.channel;
  Vector<T> sum = load(bias, at.lanes);
  for (int64_t t = 0; t < tokens; ++t) sum += load(grads[t]);
  store(bias, sum, at.lanes);
}

template <class T>
void block_backward(const Backward<T>& work, const Place& at, Row<T>* grads) {
  const Inputs<T>& in = work.in;
  const int64_t following = in.taps - 1;  // rows after the chunk's own
  for (int64_t i = 0; i < kChunk + following; ++i) store(grads[i], Vector<T>{});
  const int64_t last = (in.length + kChunk - 1) / kChunk - 1;
  for (int64_t chunk = last; chunk >= 0; --chunk) {
    const int64_t start = chunk * kChunk, tokens = smaller(kChunk, in.length - start);
    if (chunk != last) {
      for (int64_t i = following - 1; i >= 0; --i) store(grads[kChunk + i], load(grads[i]));
    }
    for (int64_t t = 0; t < tokens; ++t) store(grads[t], sum_gradient(work, at, start + t));
    for (int64_t t = 0; t < tokens; ++t) {
      Vector<T> grad_x = {};
      for (int64_t k = 0; k < in.taps; ++k) {
        grad_x += weight(in, at, k) * load(grads[t + following - k]);
      }
      store(work.grad_x.at(at.sample, start + t) + at.channel, grad_x, at.lanes);
    }
    weight_gradient(work, at, start, tokens, grads);
  }
}

template <class T>
void backward(const Backward<T>& work, int64_t begin, int64_t end, T* scratch) {
  for (int64_t item = begin; item < end; ++item) {
    block_backward(work, place(work.in, item), (Row<T>*)scratch);
  }
}

template <class T>
int64_t backward_scratch(const Inputs<T>& in) {
  return (kChunk + in.taps) * kLanes<T>;
}

}  // namespace

template <class T>
constexpr conv::Kernels<T> kernels{kLanes<T>, forward<T>, backward<T>, backward_scratch<T>};

extern const conv::Kernels<float> conv_f32 = kernels<float>;
extern const conv::Kernels<double> conv_f64 = kernels<double>;

}  // namespace vim::ops::VIM_ISA
