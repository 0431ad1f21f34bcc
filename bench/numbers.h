// Numbers as references compute them, and how far others are from them.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace vim::bench {

using Numbers = std::vector<double>;

// The root mean square of the errors against that of the numbers.
inline double relative_error(const Numbers& got, const Numbers& expected) {
  double error = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += (got[i] - expected[i]) * (got[i] - expected[i]), size += expected[i] * expected[i];
  }
  return size == 0 ? error : std::sqrt(error / size);
}

// The largest error of a number, against its own size and the usual size of its neighbours.
inline double worst_error(const Numbers& got, const Numbers& expected) {
  double squares = 0, worst = 0;
  for (double e : expected) squares += e * e;
  const double usual = std::sqrt(squares / std::max<size_t>(1, expected.size()));
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - expected[i]) / (std::abs(expected[i]) + usual);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

}  // namespace vim::bench
