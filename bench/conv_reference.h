// The convolution of one or two branches and its gradients, number by number in double: what the
// kernels are compared with.
#pragma once

#include <cmath>
#include <cstdint>

#include "numbers.h"

namespace vim::bench {

struct ConvProblem {
  int batch, channels, length, taps = 4, branches = 2;
  bool silu = true, bias = true, reverse = false;
  int shift = 0;  // elements in front of each tensor, which misalign it

  size_t tokens() const { return size_t(batch) * length; }
  size_t numbers() const { return tokens() * channels; }
};

// What is given, or the gradients of it. Contiguous.
struct ConvTensors {
  Numbers x, out[2], weight[2], bias[2];
};

// `in.out` is the gradient of the output. In what is returned `out` is the output, and the others
// are gradients.
inline ConvTensors conv_reference(const ConvProblem& p, const ConvTensors& in) {
  ConvTensors result{Numbers(in.x.size()), {}, {}, {}};
  for (int d = 0; d < p.branches; ++d) {
    Numbers& out = result.out[d] = Numbers(in.x.size());
    Numbers& grad_weight = result.weight[d] = Numbers(in.weight[d].size());
    Numbers& grad_bias = result.bias[d] = Numbers(in.bias[d].size());
    const int before = p.reverse != (d == 1) ? 1 : -1;  // the way to earlier tokens
    for (size_t i = 0; i < out.size(); ++i) {
      const int channel = int(i % p.channels), token = int(i / p.channels % p.length);
      const auto each_tap = [&](const auto& visit) {
        for (int k = 0; k < p.taps; ++k) {
          const int way = before * (p.taps - 1 - k);
          if (token + way < 0 || token + way >= p.length) continue;
          visit(size_t(channel) * p.taps + k, i + int64_t(way) * p.channels);
        }
      };
      double sum = p.bias ? in.bias[d][channel] : 0;
      each_tap([&](size_t w, size_t j) { sum += in.weight[d][w] * in.x[j]; });
      const double s = 1 / (1 + std::exp(-sum));
      out[i] = p.silu ? sum * s : sum;
      const double slope = in.out[d][i] * (p.silu ? s * (1 + sum * (1 - s)) : 1);
      each_tap([&](size_t w, size_t j) {
        grad_weight[w] += slope * in.x[j];
        result.x[j] += slope * in.weight[d][w];
      });
      if (p.bias) grad_bias[channel] += slope;
    }
  }
  return result;
}

}  // namespace vim::bench
