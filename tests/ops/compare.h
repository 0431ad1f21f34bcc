// Comparing an operator with its oracle: results and every gradient, in every dtype.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "support/catch.h"

namespace vim::test {

// Tolerances belong to a dtype; they are relative to the largest number of the tensor. A gradient
// is looser, as a sum of many terms that may cancel.
struct Precision {
  at::ScalarType dtype;
  double result, gradient;
};
inline constexpr Precision kPrecisions[] = {{at::kFloat, 1e-5, 1e-4}, {at::kDouble, 1e-12, 1e-11}};

using Tensors = std::vector<at::Tensor>;

// Fresh leaves with the same numbers.
inline Tensors leaves(const Tensors& tensors, at::ScalarType dtype) {
  Tensors out;
  for (const at::Tensor& t : tensors) {
    out.push_back(t.detach().to(dtype, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true));
  }
  return out;
}

inline void check_close(const at::Tensor& got, const at::Tensor& expected, double tolerance) {
  REQUIRE(got.sizes() == expected.sizes());
  if (got.numel() == 0) return;
  const double largest = expected.abs().max().item<double>();
  const double error = (got.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
  CHECK(error <= tolerance * largest + 1e-30);  // fails for NaN too
}

inline void check_same_bits(const Tensors& a, const Tensors& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    INFO("tensor " << i);
    CHECK(at::equal(a[i], b[i]));
  }
}

using Function = std::function<Tensors(const Tensors&)>;

// The results, followed by the gradients of sum(result * weight) with fixed pseudo-random weights.
inline Tensors results_and_gradients(const Function& function, const Tensors& inputs) {
  Tensors results = function(inputs), weights;
  for (const at::Tensor& result : results) {
    const at::Tensor index = at::arange(result.numel(), at::kDouble).view(result.sizes());
    weights.push_back(at::sin(index * 1.7 + 0.3).to(result.scalar_type()));
  }
  for (at::Tensor& grad : torch::autograd::grad(results, inputs, weights)) results.push_back(grad);
  return results;
}

// `function` in each precision against `oracle` in double on the same, rounded, numbers.
inline void check_against_oracle(const Function& function, const Function& oracle,
                                 const Tensors& inputs) {
  for (const Precision& precision : kPrecisions) {
    const Tensors given = leaves(inputs, precision.dtype);
    const Tensors got = results_and_gradients(function, given);
    const Tensors expected = results_and_gradients(oracle, leaves(given, at::kDouble));
    const size_t results = got.size() - given.size();
    for (size_t i = 0; i < got.size(); ++i) {
      INFO(precision.dtype << ", result or gradient " << i);
      check_close(got[i], expected[i], i < results ? precision.result : precision.gradient);
    }
  }
}

// The gradients of `function` in double against central differences along a random direction.
inline void check_gradients(const Function& function, const Tensors& inputs) {
  const auto total = [&](const Tensors& at) {
    double sum = 0;
    for (const at::Tensor& result : function(at)) sum += at::sin(result).sum().item<double>();
    return sum;
  };
  const Tensors at = leaves(inputs, at::kDouble);
  const Tensors results = function(at);
  Tensors weights;
  for (const at::Tensor& result : results) weights.push_back(at::cos(result.detach()));
  const Tensors grads = torch::autograd::grad(results, at, weights);
  for (size_t i = 0; i < at.size(); ++i) {
    constexpr double kStep = 1e-4;
    const at::Tensor direction = at::randn(at[i].sizes(), at::kDouble);
    const auto moved = [&](double steps) {
      Tensors there = at;
      there[i] = at[i].detach() + steps * kStep * direction;
      return total(there);
    };
    // The central difference of fourth order.
    const double slope = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * kStep);
    INFO("input " << i);
    CHECK((grads[i] * direction).sum().item<double>() == Approx(slope).epsilon(1e-6).margin(1e-7));
  }
}

}  // namespace vim::test
