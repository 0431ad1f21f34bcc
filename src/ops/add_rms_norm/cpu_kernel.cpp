// Root-mean-square norm of x + residual, row by row: one pass adds and squares, one scales. The
// backward pass does the same with sum(grad_y * weight * x), and adds each row's share of the
// weight's gradient to its block's row.
#include "ops/add_rms_norm/cpu_kernel.h"

#include "ops/simd.h"

namespace vim::ops::VIM_ISA {
namespace {

using norm::Backward;
using norm::Forward;
using norm::kRowBlock;

template <class T>
VIM_INLINE T inverse_root(T value) {
  if constexpr (sizeof(T) == sizeof(float)) return 1 / __builtin_sqrtf(value);
  return T(1 / __builtin_sqrt(value));
}

// Calls visit(first channel, count) for each vector of a row.
template <class T, class Visit>
VIM_INLINE void for_vectors(int64_t channels, Visit visit) {
  int64_t c = 0;
  for (; c + kLanes<T> <= channels; c += kLanes<T>) visit(c, kLanes<T>);
  if (c < channels) visit(c, int(channels - c));
}

template <class T>
void forward(const Forward<T>& work, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t offset = row * work.channels;
    const T* source = work.residual ? work.sum + offset : work.x + offset;
    Vector<T> squares = {};
    for_vectors<T>(work.channels, [&](int64_t c, int count) {
      Vector<T> v = load(work.x + offset + c, count);
      if (work.residual) {
        v += load(work.residual + offset + c, count);
        store(work.sum + offset + c, v, count);
      }
      squares += v * v;
    });
    const T scale = inverse_root(sum<T>(squares) / T(work.channels) + work.eps);
    if (work.scale) work.scale[row] = scale;
    for_vectors<T>(work.channels, [&](int64_t c, int count) {
      const Vector<T> normed = load(source + c, count) * scale;
      if (work.normed) store(work.normed + offset + c, normed, count);
      store(work.y + offset + c, normed * load(work.weight + c, count), count);
    });
  }
}

template <class T>
VIM_INLINE void row_backward(const Backward<T>& work, int64_t row, T* grad_weight) {
  const int64_t offset = row * work.channels;
  const T *grad_y = work.grad_y + offset, *kept = work.normed + offset;
  const T scale = work.scale[row];
  Vector<T> products = {};
  for_vectors<T>(work.channels, [&](int64_t c, int count) {
    const Vector<T> grad = load(grad_y + c, count), normed = load(kept + c, count);
    products += grad * load(work.weight + c, count) * normed;
    store(grad_weight + c, load(grad_weight + c, count) + grad * normed, count);
  });
  const T along = sum<T>(products) / T(work.channels);
  for_vectors<T>(work.channels, [&](int64_t c, int count) {
    Vector<T> grad =
        (load(grad_y + c, count) * load(work.weight + c, count) - load(kept + c, count) * along) *
        scale;
    if (work.grad_sum) grad += load(work.grad_sum + offset + c, count);
    store(work.grad_x + offset + c, grad, count);
  });
}

template <class T>
void backward(const Backward<T>& work, int64_t begin, int64_t end) {
  for (int64_t block = begin; block < end; ++block) {
    const int64_t first = block * kRowBlock;
    const int64_t last = first + kRowBlock < work.rows ? first + kRowBlock : work.rows;
    T* grad_weight = work.grad_weight + block * work.channels;
    for (int64_t row = first; row < last; ++row) row_backward(work, row, grad_weight);
  }
}

}  // namespace

template <class T>
constexpr norm::Kernels<T> kernels{forward<T>, backward<T>};

extern const norm::Kernels<float> norm_f32 = kernels<float>;
extern const norm::Kernels<double> norm_f64 = kernels<double>;

}  // namespace vim::ops::VIM_ISA
