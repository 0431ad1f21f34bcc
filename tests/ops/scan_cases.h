// Random inputs of the scan, for its tests on every device.
#pragma once

#include <ATen/ATen.h>

#include <ostream>

#include "ops/compare.h"
#include "ops/oracle.h"

namespace vim::test {

struct ScanCase {
  int64_t batch, length, channels, state;
  bool D = true, z = true, delta_bias = true, delta_softplus = true, reverse = false;
};

inline std::ostream& operator<<(std::ostream& out, const ScanCase& c) {
  return out << "batch " << c.batch << ", length " << c.length << ", channels " << c.channels
             << ", state " << c.state << ", D " << c.D << ", z " << c.z << ", delta_bias "
             << c.delta_bias << ", softplus " << c.delta_softplus << ", reverse " << c.reverse;
}

inline ScanInputs random_inputs(const ScanCase& c) {
  const auto options = at::TensorOptions(at::kDouble);
  ScanInputs in;
  in.u = at::randn({c.batch, c.length, c.channels}, options);
  in.delta = at::randn({c.batch, c.length, c.channels}, options) - 2;
  in.A = -at::exp(at::randn({c.channels, c.state}, options));
  in.B = at::randn({c.batch, c.length, c.state}, options);
  in.C = at::randn({c.batch, c.length, c.state}, options);
  if (c.D) in.D = at::randn({c.channels}, options);
  if (c.z) in.z = at::randn({c.batch, c.length, c.channels}, options);
  if (c.delta_bias) in.delta_bias = 0.1 * at::randn({c.channels}, options);
  if (!c.delta_softplus) {  // what softplus would ensure: no step is negative, no state explodes
    in.delta = in.delta.exp();
    if (c.delta_bias) in.delta_bias = in.delta_bias.abs();
  }
  in.delta_softplus = c.delta_softplus;
  in.reverse = c.reverse;
  return in;
}

// The same inputs with other tensors, given in the order of tensors().
inline ScanInputs with_tensors(ScanInputs in, const Tensors& tensors) {
  size_t next = 0;
  for (at::Tensor* t : {&in.u, &in.delta, &in.A, &in.B, &in.C, &in.D, &in.z, &in.delta_bias}) {
    if (t->defined()) *t = tensors[next++];
  }
  return in;
}

}  // namespace vim::test
