// The convolution's CUDA kernels without torch: compares them with a reference in double over
// shapes and options, then times the shapes of Vision Mamba. `conv_cuda check`, `conv_cuda time`,
// or both; a batch, channels and length (`conv_cuda profile 128 384 197`) runs that shape once, for
// a profiler.
#include <cstring>
#include <random>

#include "conv_reference.h"
#include "cuda_bench.h"
#include "ops/causal_conv1d/cuda_kernel.h"

namespace {

using namespace vim::ops;
using namespace vim::ops::conv::cuda;
using vim::bench::check;
using vim::bench::conv_reference;
using vim::bench::ConvTensors;
using vim::bench::DeviceArray;
using vim::bench::Numbers;
using vim::bench::numbers_of;
using vim::bench::put;
using vim::bench::time_calls;
using vim::bench::works_to_time;
using vim::bench::worst_error;
using Problem = vim::bench::ConvProblem;

// Tensors as the mixer has them: x is the first half of a projection, and so is its gradient.
template <class T>
struct Work {
  Problem p;
  DeviceArray<T> x, grad_x, out, grad;
  DeviceArray<float> weight, bias, grad_weight, grad_bias, workspace;

  explicit Work(const Problem& problem)
      : p(problem),
        x(2 * p.numbers() + p.shift),
        grad_x(2 * p.numbers() + p.shift),
        out(p.branches * p.numbers() + p.shift),
        grad(p.branches * p.numbers() + p.shift),
        weight(size_t(p.branches) * p.channels * p.taps),
        bias(size_t(p.branches) * p.channels),
        grad_weight(size_t(p.branches) * p.channels * p.taps),
        grad_bias(size_t(p.branches) * p.channels),
        workspace(workspace_size(p.batch, p.length, p.channels, p.branches)) {}

  template <class U>
  Rows<U> rows(T* data, int columns) const {
    const int64_t stride = int64_t(columns) * p.channels, sample = stride * p.length;
    data += p.shift;
    return p.reverse ? Rows<U>{data + sample - stride, sample, -stride}
                     : Rows<U>{data, sample, stride};
  }
  Inputs<T> inputs() const {
    Inputs<T> in{
        p.batch, p.length, p.channels, p.taps, p.silu, p.branches, rows<const T>(x.data(), 2), {}};
    for (int d = 0; d < p.branches; ++d) {
      in.parameters[d] = {weight.data() + size_t(d) * p.channels * p.taps,
                          p.bias ? bias.data() + size_t(d) * p.channels : nullptr};
    }
    return in;
  }
  Forward<T> forward_work() const {
    Forward<T> work{inputs(), {}};
    for (int d = 0; d < p.branches; ++d) {
      work.out[d] = rows<T>(out.data() + d * p.numbers(), 1);
    }
    return work;
  }
  Backward<T> backward_work() const {
    Backward<T> work{inputs(), {}, rows<T>(grad_x.data(), 2), {}, workspace.data()};
    for (int d = 0; d < p.branches; ++d) {
      work.grad[d] = rows<const T>(grad.data() + d * p.numbers(), 1);
      work.parameters[d] = {grad_weight.data() + size_t(d) * p.channels * p.taps,
                            p.bias ? grad_bias.data() + size_t(d) * p.channels : nullptr};
    }
    return work;
  }
};

// Fills the inputs and the gradient of the outputs. What it returns is empty unless wanted.
template <class T>
ConvTensors fill(const Work<T>& work, unsigned seed, bool keep = false) {
  const Problem& p = work.p;
  const size_t weights = size_t(p.channels) * p.taps;
  std::minstd_rand random(seed);
  const auto draw = [&](size_t) { return 4.0 * random() / 2147483647.0 - 2; };
  const auto draw_half = [&](size_t i) { return draw(i) / 2; };
  put(work.x.data() + p.shift, 2 * p.numbers(), !keep, draw);
  put(work.grad.data() + p.shift, p.branches * p.numbers(), !keep, draw);
  put(work.weight.data(), p.branches * weights, !keep, draw_half);
  put(work.bias.data(), size_t(p.branches) * p.channels, !keep, draw_half);
  ConvTensors kept;
  if (!keep) return kept;
  kept.x = numbers_of(work.x, p.shift, p.tokens(), 2 * p.channels, p.channels);
  for (int d = 0; d < p.branches; ++d) {
    kept.out[d] = numbers_of(work.grad, p.shift + d * p.numbers(), 1, 0, p.numbers());
    kept.weight[d] = numbers_of(work.weight, d * weights, 1, 0, weights);
    kept.bias[d] = numbers_of(work.bias, d * p.channels, 1, 0, p.channels);
  }
  return kept;
}

template <class T>
ConvTensors results(const Work<T>& work) {
  const Problem& p = work.p;
  ConvTensors to;
  to.x = numbers_of(work.grad_x, p.shift, p.tokens(), 2 * p.channels, p.channels);
  const size_t weights = size_t(p.channels) * p.taps;
  for (int d = 0; d < p.branches; ++d) {
    to.out[d] = numbers_of(work.out, p.shift + d * p.numbers(), 1, 0, p.numbers());
    to.weight[d] = numbers_of(work.grad_weight, d * weights, 1, 0, weights);
    if (p.bias) to.bias[d] = numbers_of(work.grad_bias, d * p.channels, 1, 0, p.channels);
  }
  return to;
}

// Whether the other half of the projection's gradient is as it was.
template <class T>
bool untouched(const Work<T>& work) {
  const Problem& p = work.p;
  for (double value :
       numbers_of(work.grad_x, p.shift + p.channels, p.tokens(), 2 * p.channels, p.channels)) {
    if (!std::isnan(value)) return false;
  }
  return true;
}

template <class T>
bool check_problem(const Problem& p, const char* type, double tolerance) {
  ConvTensors runs[2], expected;
  bool good = true;
  for (ConvTensors& got : runs) {
    Work<T> work(p);
    const ConvTensors in = fill(work, 1, true);
    if (expected.x.empty()) expected = conv_reference(p, in);
    forward(work.forward_work(), nullptr);
    backward(work.backward_work(), nullptr);
    check(cudaDeviceSynchronize(), "kernels");
    got = results(work);
    good = good && untouched(work);
  }
  std::printf("%-5s %4d %4d %5d taps %d x %d%s%s%s+%d ", type, p.batch, p.channels, p.length,
              p.taps, p.branches, p.silu ? "s" : " ", p.bias ? "b" : " ", p.reverse ? "r" : " ",
              p.shift);
  const auto compare = [&](const Numbers& got, const Numbers& again, const Numbers& truth) {
    const double error = worst_error(got, truth);
    const bool same =
        got.empty() || std::memcmp(got.data(), again.data(), got.size() * sizeof(double)) == 0;
    std::printf(" %.1e%s", error, same ? "" : " OTHER BITS");
    good = good && same && error <= tolerance;
  };
  compare(runs[0].x, runs[1].x, expected.x);
  for (int d = 0; d < p.branches; ++d) {
    compare(runs[0].out[d], runs[1].out[d], expected.out[d]);
    compare(runs[0].weight[d], runs[1].weight[d], expected.weight[d]);
    compare(runs[0].bias[d], runs[1].bias[d], expected.bias[d]);
  }
  std::printf("%s\n", good ? "" : "  FAILED");
  return good;
}

bool check_all() {
  std::printf("worst errors of grad_x, then for each branch of out, grad_weight, grad_bias\n");
  const Problem problems[] = {
      {1, 1, 1, 1, 1},
      {1, 7, 1},
      {5, 6, 2},
      {5, 33, 3, 4, 2, true, true, true},
      {2, 66, 15},
      {3, 64, 16, 3, 2, false},
      {3, 68, 17, 2, 1},
      {2, 384, 197},
      {7, 200, 196, 4, 1, true, false, true},
      {2, 50, 50, 1, 2, true, false},
      {3, 34, 50, 3, 2, false, false, true},
      {128, 64, 21},
      {2, 130, 730, 2, 2},
      {1000, 36, 5},
      {300, 34, 1},
      {1, 192, 1025, 4, 1},
      {1, 40, 6085},
      {1, 6, 16385, 4, 2, true, true, true},
      {1, 5000, 3},
  };
  bool good = true;
  for (Problem p : problems) {
    for (int shift : {0, 1}) {
      p.shift = shift;
      good = check_problem<float>(p, "fp32", 2e-5) && good;
      good = check_problem<__half>(p, "fp16", 3e-3) && good;
      good = check_problem<__nv_bfloat16>(p, "bf16", 1e-2) && good;
    }
  }
  return good;
}

template <class T>
void time_shape(const char* type, const Problem& p) {
  const double element = sizeof(T) * double(p.numbers());
  const auto works = works_to_time<Work<T>>(p, element * 4, 24);
  const double ahead = time_calls(works, [](const Work<T>& work, cudaStream_t stream) {
    forward(work.forward_work(), stream);
  });
  const double back = time_calls(works, [](const Work<T>& work, cudaStream_t stream) {
    backward(work.backward_work(), stream);
  });
  const double forward_bytes = element * (1 + p.branches),
               backward_bytes = element * (2 + p.branches);
  std::printf("%-5s %4d %4d %5d x %d  %8.1f %6.2f  %8.1f %6.2f\n", type, p.batch, p.channels,
              p.length, p.branches, ahead, forward_bytes / ahead * 1e-6, back,
              backward_bytes / back * 1e-6);
  std::fflush(stdout);
}

void time_all() {
  std::printf("us and TB/s               forward          backward\n");
  const Problem problems[] = {{128, 384, 197},      {128, 768, 197}, {32, 384, 1025},
                              {8, 384, 6085},       {1, 384, 6085},  {1, 384, 197},
                              {128, 384, 197, 4, 1}};
  for (const Problem& p : problems) time_shape<__nv_bfloat16>("bf16", p);
  time_shape<__half>("fp16", problems[0]);
  time_shape<float>("fp32", problems[0]);
}

void profile(const Problem& p) {
  Work<__nv_bfloat16> work(p);
  fill(work, 1);
  forward(work.forward_work(), nullptr);
  backward(work.backward_work(), nullptr);
  check(cudaDeviceSynchronize(), "profile");
}

}  // namespace

int main(int argc, char** argv) {
  return vim::bench::run_program(argc, argv, {"BATCH", "CHANNELS", "LENGTH"}, check_all, time_all,
                                 [](const int* n) {
                                   profile({n[0], n[1], n[2]});
                                 });
}
