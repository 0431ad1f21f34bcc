// Comparing an operator with its oracle: results and every gradient, on every device in every
// dtype.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "support/catch.h"

namespace vim::test {

// Tolerances belong to a device and a dtype; they are relative to the largest number of the tensor.
// A gradient is looser, as a sum of many terms that may cancel.
struct Target {
  at::DeviceType device;
  at::ScalarType dtype;
  double result, gradient;
};
inline constexpr Target kTargets[] = {{at::kCPU, at::kFloat, 1e-5, 1e-4},
                                      {at::kCPU, at::kDouble, 1e-12, 1e-11},
                                      {at::kCUDA, at::kFloat, 1e-5, 1e-4},
                                      {at::kCUDA, at::kHalf, 2e-3, 1e-2},
                                      {at::kCUDA, at::kBFloat16, 1e-2, 3e-2}};

// Those that this machine has.
inline std::vector<Target> targets() {
  std::vector<Target> here;
  for (const Target& target : kTargets) {
    if (target.device == at::kCPU || at::hasCUDA()) here.push_back(target);
  }
  return here;
}

using Tensors = std::vector<at::Tensor>;
using Indices = std::vector<size_t>;

// Fresh leaves with the same numbers. Those that are parameters stay in float32 where the others
// are in half precision.
inline Tensors leaves(const Tensors& tensors, at::ScalarType dtype,
                      at::DeviceType device = at::kCPU, const Indices& parameters = {}) {
  Tensors out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const bool parameter = std::ranges::find(parameters, i) != parameters.end();
    const auto type = parameter && at::isReducedFloatingType(dtype) ? at::kFloat : dtype;
    out.push_back(tensors[i]
                      .detach()
                      .to(device, type, /*non_blocking=*/false, /*copy=*/true)
                      .requires_grad_(true));
  }
  return out;
}

// Uninitialised tensors hold NaN inside of the scope, so that what a kernel forgets to write shows.
class PoisonedMemory {
 public:
  PoisonedMemory() {
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
    at::globalContext().setDeterministicFillUninitializedMemory(true);
  }
  ~PoisonedMemory() { at::globalContext().setDeterministicAlgorithms(false, false); }
};

inline void check_close(const at::Tensor& got, const at::Tensor& expected, double tolerance) {
  REQUIRE(got.sizes() == expected.sizes());
  if (got.numel() == 0) return;
  const double largest = expected.abs().max().item<double>();
  const auto cpu_double = [](const at::Tensor& t) { return t.detach().to(at::kCPU, at::kDouble); };
  const double error = (cpu_double(got) - cpu_double(expected)).abs().max().item<double>();
  const double smallest = got.scalar_type() == at::kHalf ? 6e-8 : 1e-30;  // the step near zero
  CHECK(error <= tolerance * largest + smallest);                         // fails for NaN too
}

inline void check_same_bits(const Tensors& a, const Tensors& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    INFO("tensor " << i);
    CHECK(at::equal(a[i], b[i]));
  }
}

using Function = std::function<Tensors(const Tensors&)>;

// The results, followed by the gradients of sum(result * weight) with fixed pseudo-random weights
// that are exact in `dtype`.
inline Tensors results_and_gradients(const Function& function, const Tensors& inputs,
                                     at::ScalarType dtype = at::kFloat) {
  Tensors results = function(inputs), weights;
  for (const at::Tensor& result : results) {
    const at::Tensor index = at::arange(result.numel(), at::kDouble).view(result.sizes());
    weights.push_back(at::sin(index * 1.7 + 0.3).to(dtype).to(result.options()));
  }
  for (at::Tensor& grad : torch::autograd::grad(results, inputs, weights)) results.push_back(grad);
  return results;
}

// Whether these numbers come so near to the end of a dtype's range that what is computed on the way
// to them may be past it.
inline bool may_overflow(const Tensors& tensors, at::ScalarType dtype) {
  constexpr double kHeadroom = 16, kLargestHalf = 65504;
  return dtype == at::kHalf && std::ranges::any_of(tensors, [](const at::Tensor& t) {
           return t.numel() > 0 && t.abs().max().item<double>() > kLargestHalf / kHeadroom;
         });
}

// `function` on each device and in each dtype against `oracle` in double on the same, rounded,
// numbers. `parameters` are the places of those inputs that stay in float32 (ops.h).
inline void check_against_oracle(const Function& function, const Function& oracle,
                                 const Tensors& inputs, const Indices& parameters = {}) {
  for (const Target& target : targets()) {
    INFO(at::Device(target.device) << ", " << target.dtype);
    const Tensors given = leaves(inputs, target.dtype, target.device, parameters);
    const Tensors got = [&] {
      const PoisonedMemory poisoned;
      return results_and_gradients(function, given, target.dtype);
    }();
    const Tensors expected =
        results_and_gradients(oracle, leaves(given, at::kDouble), target.dtype);
    if (may_overflow(expected, target.dtype)) continue;
    const size_t results = got.size() - given.size();
    for (size_t i = 0; i < got.size(); ++i) {
      INFO("result or gradient " << i);
      check_close(got[i], expected[i], i < results ? target.result : target.gradient);
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
