// A step of the optimiser over all parameters at once, with what comes right before and after it.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace vim::ops {

// Lists are of equal length, an entry for each parameter, and contiguous or dense with the same
// strides. Numbers are float32, on the CPU also float64.
struct AdamWStep {
  std::vector<at::Tensor> parameters, exp_avg, exp_avg_sq;
  std::vector<at::Tensor> gradients;  // one may be undefined: only the average moves then
  std::vector<at::Tensor> averages;   // or empty: there are none
  std::vector<double> lr_scale, weight_decay;
  at::Tensor steps;  // [parameters], float: the updates so far
  at::Tensor lr;     // scalar, double
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double average_decay = 0;  // average = decay * average + (1 - decay) * parameter

  at::Tensor loss_scale;  // scalar, float, or undefined: what the gradients are divided by
  double max_norm = 0;    // of all gradients together; 0: any
  at::Tensor norm;        // scalar, float: that of gradient_norm, where there is a max_norm
  at::Tensor skip;        // scalar, float, or undefined: where it is 1, only the averages move
};

// The joint norm of all gradients that are defined, divided by the scale where there is one: a
// scalar. `overflow`, a scalar of float, becomes 1 where one is not finite; undefined: nobody asks.
at::Tensor gradient_norm(const std::vector<at::Tensor>& gradients,
                         const at::Tensor& loss_scale = {}, const at::Tensor& overflow = {});

// Clips the gradients by their joint norm, updates the parameters by AdamW (arXiv 1711.05101: p -=
// lr * (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * p)), then their
// averages. What the gradients hold afterwards is left open.
//
// On a GPU neither function waits, and a recorded call reads its scalars anew each time; the same
// inputs give the same bits.
void adamw_step(const AdamWStep& step);

}  // namespace vim::ops
