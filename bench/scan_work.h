// The tensors of a selective scan on the device, random numbers for them, and the arguments of its
// CUDA kernels.
#pragma once

#include <cmath>
#include <random>

#include "cuda_bench.h"
#include "ops/selective_scan/cuda_kernel.h"
#include "scan_reference.h"

namespace vim::bench {

using ops::Rows;
using ops::scan::cuda::Backward;
using ops::scan::cuda::Forward;
using ops::scan::cuda::Inputs;
using ops::scan::cuda::kStepWidth;

// Tensors as the mixer has them: z is the second half of a projection, B, C and the steps are
// slices of another; `shift` elements in front of each misalign them.
template <class T>
struct ScanArrays {
  ScanProblem p;
  int shift;
  DeviceArray<T> u, delta, x, xz, out, step_weight;
  DeviceArray<float> A, D, bias;

  ScanArrays(const ScanProblem& problem, int shift_)
      : p(problem),
        shift(shift_),
        u(p.directions * p.rows() + shift),
        delta(p.directions * p.rows() + shift),
        x(p.directions * p.tokens() * columns() + shift),
        xz(p.rows() * 2 + shift),
        out(p.rows() + shift),
        step_weight(size_t(p.directions) * p.channels * kStepWidth),
        A(size_t(p.directions) * p.channels * p.state),
        D(size_t(p.directions) * p.channels),
        bias(size_t(p.directions) * p.channels) {}

  int columns() const { return 2 * p.state + kStepWidth; }
  Rows<T> rows(T* data) const { return {data + shift, int64_t(p.length) * p.channels, p.channels}; }
  Rows<T> of_u(int d) const { return rows(u.data() + d * p.rows()); }
  Rows<T> of_delta(int d) const { return rows(delta.data() + d * p.rows()); }
  Rows<T> of_B(int d) const {
    return {x.data() + d * p.tokens() * columns() + shift, int64_t(p.length) * columns(),
            columns()};
  }
  Rows<T> of_C(int d) const { return behind_B(d, p.state); }
  Rows<T> of_steps(int d) const { return behind_B(d, 2 * p.state); }
  Rows<T> behind_B(int d, int columns) const {
    Rows<T> rows = of_B(d);
    rows.data += columns;
    return rows;
  }
  T* of_step_weight(int d) const {
    return step_weight.data() + size_t(d) * p.channels * kStepWidth;
  }
  Rows<T> of_z() const {
    if (!p.gate) return {};
    return {xz.data() + p.channels + shift, int64_t(p.length) * 2 * p.channels, 2 * p.channels};
  }
  Rows<T> of_out() const { return rows(out.data()); }
  float* of_A(int d) const { return A.data() + size_t(d) * p.channels * p.state; }
  float* of_D(int d) const { return D.data() + size_t(d) * p.channels; }
  float* of_bias(int d) const { return bias.data() + size_t(d) * p.channels; }

  // As the reference has them.
  ScanTensors read() const {
    const size_t d = p.directions, channels = p.channels, state = p.state, row = columns();
    return {numbers_of(u, shift, 1, 0, d * p.rows()),
            numbers_of(delta, shift, 1, 0, d * p.rows()),
            numbers_of(x, shift, d * p.tokens(), row, state),
            numbers_of(x, shift + state, d * p.tokens(), row, state),
            numbers_of(A, 0, 1, 0, d * channels * state),
            numbers_of(D, 0, 1, 0, d * channels),
            numbers_of(bias, 0, 1, 0, d * channels),
            p.gate ? numbers_of(xz, channels + shift, p.tokens(), 2 * channels, channels)
                   : Numbers(p.rows()),
            numbers_of(out, shift, 1, 0, p.rows())};
  }
};

template <class T>
Rows<const T> read_only(const Rows<T>& rows) {
  return {rows.data, rows.batch_stride, rows.token_stride};
}

// All that a forward and a backward pass need.
template <class T>
struct ScanWork {
  ScanArrays<T> in, grad;
  Inputs<T> inputs;
  DeviceArray<unsigned char> saved, workspace;

  explicit ScanWork(const ScanProblem& p, int shift = 0)
      : in(p, shift),
        grad(p, shift),
        inputs(describe()),
        saved(saved_bytes(inputs)),
        workspace(workspace_bytes(inputs)) {}

  Inputs<T> describe() const {
    const ScanProblem& p = in.p;
    Inputs<T> to{p.batch,       p.length, p.channels,           p.state,
                 p.directions,  {},       read_only(in.of_z()), p.softplus,
                 float(p.scale)};
    for (int d = 0; d < p.directions; ++d) {
      to.direction[d] = {read_only(in.of_u(d)),
                         read_only(in.of_delta(d)),
                         read_only(in.of_B(d)),
                         read_only(in.of_C(d)),
                         in.of_A(d),
                         in.of_D(d),
                         in.of_bias(d),
                         p.reverse != (d == 1)};
    }
    return to;
  }
  // The output goes into `in.out`, which then is its gradient's place: grad.out gets it again.
  Forward<T> forward_work(bool training) const {
    return {inputs, grad.of_out(), training ? saved.data() : nullptr};
  }
  // The same by steps, without delta.
  Forward<T> forward_by_steps() const {
    Forward<T> to = forward_work(/*training=*/false);
    for (int d = 0; d < in.p.directions; ++d) {
      to.in.direction[d].delta = {};
      to.steps[d] = {read_only(in.of_steps(d)), in.of_step_weight(d)};
    }
    return to;
  }
  Backward<T> backward_work() const {
    Backward<T> to{inputs,      saved.data(),  read_only(in.of_out()), {},
                   grad.of_z(), grad.of_out(), workspace.data()};
    for (int d = 0; d < in.p.directions; ++d) {
      to.grad[d] = {grad.of_u(d), grad.of_delta(d), grad.of_B(d),   grad.of_C(d),
                    grad.of_A(d), grad.of_D(d),     grad.of_bias(d)};
    }
    return to;
  }
};

// Fills the inputs and the gradient of the output with numbers of the sizes that a Vision Mamba
// has: rates of 1 to 16, steps of 0.001 to 0.7. Returns them where wanted; delta then is the
// product of steps and weights.
template <class T>
ScanTensors fill(const ScanWork<T>& work, unsigned seed, bool keep = false) {
  const ScanArrays<T>& to = work.in;
  const ScanProblem& p = to.p;
  const size_t channels = size_t(p.directions) * p.channels;
  std::minstd_rand random(seed);
  const auto normal = [&](size_t) {  // near enough
    double sum = -6;
    for (int i = 0; i < 3; ++i) sum += 4.0 * random() / 2147483647.0;
    return sum / 2;
  };
  const auto put_normal = [&](const DeviceArray<T>& array, size_t count, double spread) {
    put(array.data() + to.shift, count, !keep, [&](size_t i) { return spread * normal(i); });
  };
  put_normal(to.u, p.directions * p.rows(), 1);
  put_normal(to.delta, p.directions * p.rows(), 0.3);
  put_normal(to.x, p.directions * p.tokens() * to.columns(), 1);
  put_normal(to.xz, p.rows() * 2, 1);
  put_normal(to.out, p.rows(), 1);
  put(to.step_weight.data(), channels * kStepWidth, false,
      [&](size_t i) { return 0.3 / std::sqrt(kStepWidth) * normal(i); });
  if (keep) {
    const std::vector<T> x = to.x.read(), weight = to.step_weight.read();
    put(to.delta.data() + to.shift, p.directions * p.rows(), false, [&](size_t i) {
      const size_t d = i / p.rows(), row = i / p.channels,
                   channel = d * p.channels + i % p.channels;
      double sum = 0;
      for (int k = 0; k < kStepWidth; ++k) {
        sum += double(to_float(x[to.shift + row * to.columns() + 2 * p.state + k])) *
               to_float(weight[channel * kStepWidth + k]);
      }
      return sum;
    });
  }
  put(to.A.data(), channels * p.state, false,
      [&](size_t i) { return -(double(i % p.state) + 1) * (1 + 0.1 * normal(i)); });
  put(to.D.data(), channels, false, [&](size_t i) { return 1 + 0.1 * normal(i); });
  put(to.bias.data(), channels, false,
      [&](size_t i) { return p.softplus ? -6.5 + 6.5 * double(i % 97) / 96 : 1.5; });
  return keep ? to.read() : ScanTensors();
}

}  // namespace vim::bench
