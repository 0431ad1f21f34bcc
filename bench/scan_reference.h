// The selective scan of both directions and its gradients, channel by channel in double: what the
// kernels are compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "numbers.h"

namespace vim::bench {

// Tensors are contiguous; those of a direction come one direction after the other.
struct ScanProblem {
  int batch, length, channels, state, directions;
  bool reverse;  // of the first direction; a second is its opposite
  bool gate, softplus;
  double scale;

  size_t tokens() const { return size_t(batch) * length; }
  size_t rows() const { return tokens() * channels; }
  size_t states() const { return tokens() * state; }
};
struct ScanTensors {
  Numbers u, delta, B, C, A, D, bias;  // of each direction
  Numbers z, out;
};

// Calls work(0) to work(items - 1), on all cores.
template <class Work>
void on_threads(int items, const Work& work) {
  const int count = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      for (int item = i; item < items; item += count) work(item);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

namespace detail {

// What a channel's gradients of A, D and bias are in one sample.
struct ChannelSums {
  Numbers A, D, bias;
};

// One channel of one sample and direction. Adds to `sum`, the output before the gate, where there
// is no gradient dy of it; else to `rows` and `sums`.
inline void scan_channel(const ScanProblem& p, const ScanTensors& in, int d, int b, int e,
                         Numbers& sum, const Numbers* dy, ScanTensors& rows, ChannelSums& sums) {
  const int n_states = p.state;
  const bool reverse = p.reverse != (d == 1);
  const size_t of_d = size_t(d) * p.rows(), channel = size_t(d) * p.channels + e;
  Numbers h((p.length + 1) * size_t(n_states)), steps(p.length), g(n_states);
  const auto token = [&](int i) { return size_t(b) * p.length + (reverse ? p.length - 1 - i : i); };
  for (int i = 0; i < p.length; ++i) {
    const size_t t = token(i), at = of_d + t * p.channels + e, row = d * p.states() + t * n_states;
    const double raw = in.delta[at] + in.bias[channel];
    const double step = steps[i] = p.softplus ? (raw > 30 ? raw : std::log1p(std::exp(raw))) : raw;
    double y = in.D[channel] * in.u[at];
    for (int n = 0; n < n_states; ++n) {
      double& now = h[(i + 1) * size_t(n_states) + n];
      now = std::exp(step * in.A[channel * n_states + n]) * h[i * size_t(n_states) + n] +
            step * in.u[at] * in.B[row + n];
      y += now * in.C[row + n];
    }
    if (dy == nullptr) sum[t * p.channels + e] += y;
  }
  if (dy == nullptr) return;
  for (int i = p.length - 1; i >= 0; --i) {
    const size_t t = token(i), at = of_d + t * p.channels + e, row = d * p.states() + t * n_states;
    const double u = in.u[at], up = (*dy)[t * p.channels + e];
    double through_B = 0, dstep = 0;
    for (int n = 0; n < n_states; ++n) {
      const double rate = in.A[channel * n_states + n], decay = std::exp(steps[i] * rate);
      rows.C[row + n] += up * h[(i + 1) * size_t(n_states) + n];
      g[n] += in.C[row + n] * up;
      rows.B[row + n] += g[n] * steps[i] * u;
      through_B += g[n] * in.B[row + n];
      const double q = g[n] * decay * h[i * size_t(n_states) + n];
      dstep += q * rate;
      sums.A[channel * n_states + n] += q * steps[i];
      g[n] *= decay;
    }
    rows.u[at] = steps[i] * through_B + in.D[channel] * up;
    const double raw = in.delta[at] + in.bias[channel];
    rows.delta[at] = (dstep + u * through_B) * (p.softplus ? 1 / (1 + std::exp(-raw)) : 1);
    sums.D[channel] += up * u;
    sums.bias[channel] += rows.delta[at];
  }
}

}  // namespace detail

// `in.out` is the gradient of the output. In what is returned `out` is the output, and the others
// are gradients.
inline ScanTensors scan_reference(const ScanProblem& p, const ScanTensors& in) {
  const size_t d = p.directions;
  ScanTensors result{Numbers(d * p.rows()),   Numbers(d * p.rows()), Numbers(d * p.states()),
                     Numbers(d * p.states()), Numbers(in.A.size()),  Numbers(in.D.size()),
                     Numbers(in.D.size()),    Numbers(p.rows()),     Numbers(p.rows())};
  Numbers sum(p.rows()), dy(p.rows());
  std::vector<detail::ChannelSums> sums(
      p.batch, {Numbers(in.A.size()), Numbers(in.D.size()), Numbers(in.D.size())});
  const auto walk = [&](int b, const Numbers* gradient) {
    for (int dir = 0; dir < p.directions; ++dir) {
      for (int e = 0; e < p.channels; ++e) {
        detail::scan_channel(p, in, dir, b, e, sum, gradient, result, sums[b]);
      }
    }
  };
  on_threads(p.batch, [&](int b) {
    walk(b, nullptr);
    const size_t per_sample = size_t(p.length) * p.channels;
    for (size_t i = b * per_sample; i < (b + 1) * per_sample; ++i) {
      const double open = p.gate ? 1 / (1 + std::exp(-in.z[i])) : 1;
      const double silu = p.gate ? in.z[i] * open : 1;
      result.out[i] = p.scale * sum[i] * silu;
      dy[i] = p.scale * in.out[i] * silu;
      if (p.gate) {
        result.z[i] = p.scale * in.out[i] * sum[i] * open * (1 + in.z[i] * (1 - open));
      }
    }
    walk(b, &dy);
  });
  for (const detail::ChannelSums& one : sums) {
    for (size_t i = 0; i < result.A.size(); ++i) result.A[i] += one.A[i];
    for (size_t i = 0; i < result.D.size(); ++i) {
      result.D[i] += one.D[i], result.bias[i] += one.bias[i];
    }
  }
  return result;
}

}  // namespace vim::bench
