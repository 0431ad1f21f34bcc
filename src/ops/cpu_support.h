// The CPU kernels' work to the threads.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdlib>
#include <memory>

#include "ops/tensors.h"

namespace vim::ops {

// Runs work(begin, end, scratch) over the items on the threads; `cost` is that of an item in
// elementary steps (about a nanosecond), so that little work stays on one thread.
template <class T, class Work>
void for_items(int64_t items, int64_t cost, int64_t scratch_size, const Work& work) {
  constexpr int64_t kWorthAThread = 50000;
  const int64_t grain = std::max<int64_t>(1, kWorthAThread / std::max<int64_t>(1, cost));
  at::parallel_for(0, items, grain, [&](int64_t begin, int64_t end) {
    constexpr size_t kAlignment = 64;
    const size_t bytes = (scratch_size * sizeof(T) / kAlignment + 1) * kAlignment;
    const std::unique_ptr<void, decltype(&std::free)> scratch(std::aligned_alloc(kAlignment, bytes),
                                                              std::free);
    TORCH_CHECK(scratch != nullptr, "out of memory for ", bytes, " bytes of scratch");
    work(begin, end, static_cast<T*>(scratch.get()));
  });
}

// The sum over the first dimension of a contiguous tensor, in its order.
template <class T>
at::Tensor sum_of_first(const at::Tensor& parts) {
  const int64_t count = parts.size(0), size = parts.numel() / std::max<int64_t>(1, count);
  at::Tensor total = at::empty(parts.sizes().slice(1), parts.options());
  const T* from = parts.const_data_ptr<T>();
  T* to = total.mutable_data_ptr<T>();
  if (count == 0) std::fill_n(to, total.numel(), T(0));
  at::parallel_for(0, count == 0 ? 0 : size, 4096, [&](int64_t begin, int64_t end) {
    std::copy(from + begin, from + end, to + begin);
    for (int64_t part = 1; part < count; ++part) {
      const T* row = from + part * size;
      for (int64_t i = begin; i < end; ++i) to[i] += row[i];
    }
  });
  return total;
}

}  // namespace vim::ops
