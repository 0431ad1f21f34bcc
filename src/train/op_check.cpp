#include "train/op_check.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <iomanip>
#include <sstream>

#include "vim/core/text.h"

namespace vim::train {
namespace {

// Of the largest number of a tensor. A gradient is looser, as a sum of terms that may cancel.
struct Tolerance {
  double result, gradient;
};
Tolerance tolerance_of(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return {2e-2, 6e-2};
    case Precision::kFp16:
      return {4e-3, 2e-2};
    default:
      return {1e-4, 1e-3};
  }
}

Tensors on_cpu_in_double(const Tensors& tensors) {
  Tensors copies;
  for (const at::Tensor& tensor : tensors) {
    copies.push_back(
        tensor.detach().to(at::kCPU, at::kDouble).requires_grad_(tensor.requires_grad()));
  }
  return copies;
}

// What is wrong with a tensor, or nothing.
std::string difference(const std::string& name, const at::Tensor& got, const at::Tensor& expected,
                       double tolerance) {
  const double largest = expected.abs().max().item<double>();
  const double error =
      (got.detach().to(at::kCPU, at::kDouble) - expected.detach()).abs().max().item<double>();
  if (error <= tolerance * largest) return "";  // not so for NaN
  std::ostringstream text;
  text << name << " differs by " << std::setprecision(2) << error / largest
       << " of its largest number, more than " << tolerance;
  return text.str();
}

}  // namespace

Tensors random_gradients(const Tensors& results) {
  Tensors grads;
  for (const at::Tensor& result : results) grads.push_back(at::randn_like(result));
  return grads;
}

std::string difference_from_reference(const OpCase& op, const Tensors& inputs,
                                      Precision precision) {
  const Tolerance tolerance = tolerance_of(precision);
  const Tensors doubles = on_cpu_in_double(inputs);
  const Tensors results = op.call(inputs), expected = op.reference(doubles);
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string name = concat("result ", i + 1);
    const std::string wrong = difference(name, results[i], expected[i], tolerance.result);
    if (!wrong.empty()) return wrong;
  }
  const Tensors grads = random_gradients(results);
  const Tensors got = torch::autograd::grad(results, inputs, grads);
  const Tensors wanted = torch::autograd::grad(expected, doubles, on_cpu_in_double(grads));
  for (size_t i = 0; i < got.size(); ++i) {
    const std::string name = "the gradient of " + op.arguments[i];
    const std::string wrong = difference(name, got[i], wanted[i], tolerance.gradient);
    if (!wrong.empty()) return wrong;
  }
  const c10::NoGradGuard no_grad;  // which may take other kernels
  const Tensors again = op.call(inputs);
  for (size_t i = 0; i < again.size(); ++i) {
    const std::string name = concat("result ", i + 1, " without gradients");
    const std::string wrong = difference(name, again[i], expected[i], tolerance.result);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace vim::train
