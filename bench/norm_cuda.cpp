// The norm's CUDA kernels without torch: compares them with a reference in double over shapes and
// options, then times the shapes of Vision Mamba. `norm_cuda check`, `norm_cuda time`, or both;
// rows and channels (`norm_cuda profile 25216 192`) run that shape once, for a profiler.
#include <cstring>
#include <random>

#include "cuda_bench.h"
#include "ops/add_rms_norm/cuda_kernel.h"

namespace {

using namespace vim::ops::norm::cuda;
using vim::bench::check;
using vim::bench::DeviceArray;
using vim::bench::Numbers;
using vim::bench::numbers_of;
using vim::bench::put;
using vim::bench::time_calls;
using vim::bench::works_to_time;
using vim::bench::worst_error;

struct Problem {
  int rows, channels;
  bool residual = true;
  int shift = 0;  // elements in front of each tensor, which misalign it

  size_t numbers() const { return size_t(rows) * channels; }
};

constexpr float kEps = 1e-5f;

// T is the type of x, y and their gradients.
template <class T>
struct Work {
  Problem p;
  DeviceArray<T> x, y, normed, grad_y, grad_x;
  DeviceArray<float> residual, weight, sum, scale, grad_sum, grad_residual, grad_weight, workspace;

  explicit Work(const Problem& problem)
      : p(problem),
        x(p.numbers() + p.shift),
        y(p.numbers() + p.shift),
        normed(p.numbers() + p.shift),
        grad_y(p.numbers() + p.shift),
        grad_x(p.numbers() + p.shift),
        residual(p.numbers() + p.shift),
        weight(p.channels + p.shift),
        sum(p.numbers() + p.shift),
        scale(p.rows),
        grad_sum(p.numbers() + p.shift),
        grad_residual(p.numbers() + p.shift),
        grad_weight(p.channels),
        workspace(workspace_size(p.rows, p.channels)) {}

  template <class U>
  U* of(const DeviceArray<U>& array) const {
    return array.data() + p.shift;
  }
  void run_forward(cudaStream_t stream) const {
    forward<T>({p.rows, p.channels, of(x), p.residual ? of(residual) : nullptr, of(weight), kEps,
                of(y), p.residual ? of(sum) : nullptr, of(normed), scale.data()},
               stream);
  }
  // With a residual the stream's gradient comes along.
  void run_backward(cudaStream_t stream) const {
    backward<T>({p.rows, p.channels, of(grad_y), p.residual ? of(grad_sum) : nullptr, of(normed),
                 of(weight), scale.data(), of(grad_x),
                 p.residual && sizeof(T) == 2 ? of(grad_residual) : nullptr, grad_weight.data(),
                 workspace.data()},
                stream);
  }
};

struct Tensors {
  Numbers x, residual, weight, grad_y, grad_sum;
};
struct Results {
  Numbers y, sum, scale, grad_x, grad_residual, grad_weight;
};

Results reference(const Problem& p, const Tensors& in) {
  Results to{Numbers(p.numbers()), in.x, Numbers(p.rows), {}, {}, Numbers(p.channels)};
  to.grad_x = Numbers(p.numbers());
  for (size_t i = 0; p.residual && i < to.sum.size(); ++i) to.sum[i] += in.residual[i];
  for (int row = 0; row < p.rows; ++row) {
    const size_t start = size_t(row) * p.channels;
    double squares = 0, product = 0;
    for (int c = 0; c < p.channels; ++c) squares += to.sum[start + c] * to.sum[start + c];
    const double scale = to.scale[row] = 1 / std::sqrt(squares / p.channels + kEps);
    for (int c = 0; c < p.channels; ++c) {
      const double normed = to.sum[start + c] * scale, grad = in.grad_y[start + c];
      to.y[start + c] = normed * in.weight[c];
      to.grad_weight[c] += grad * normed;
      product += grad * in.weight[c] * normed / p.channels;
    }
    for (int c = 0; c < p.channels; ++c) {
      const double normed = to.sum[start + c] * scale, grad = in.grad_y[start + c];
      to.grad_x[start + c] = scale * (grad * in.weight[c] - normed * product) +
                             (p.residual ? in.grad_sum[start + c] : 0);
    }
  }
  to.grad_residual = to.grad_x;
  return to;
}

// Fills the inputs, and returns them where wanted.
template <class T>
Tensors fill(const Work<T>& work, unsigned seed, bool keep = false) {
  const Problem& p = work.p;
  std::minstd_rand random(seed);
  const auto drawn = [&](const auto& array, size_t count) {
    put(work.of(array), count, !keep, [&](size_t) { return 4.0 * random() / 2147483647.0 - 2; });
    return keep ? numbers_of(array, p.shift, 1, 0, count) : Numbers();
  };
  return {drawn(work.x, p.numbers()), drawn(work.residual, p.numbers()),
          drawn(work.weight, p.channels), drawn(work.grad_y, p.numbers()),
          drawn(work.grad_sum, p.numbers())};
}

template <class T>
Results results(const Work<T>& work) {
  const Problem& p = work.p;
  const auto whole = [&](const auto& array) {
    return numbers_of(array, p.shift, 1, 0, p.numbers());
  };
  return {whole(work.y),
          p.residual ? whole(work.sum) : Numbers(),
          numbers_of(work.scale, 0, 1, 0, p.rows),
          whole(work.grad_x),
          p.residual && sizeof(T) == 2 ? whole(work.grad_residual) : Numbers(),
          numbers_of(work.grad_weight, 0, 1, 0, p.channels)};
}

template <class T>
bool check_problem(const Problem& p, const char* type, double tolerance) {
  Results runs[2], expected;
  for (Results& got : runs) {
    Work<T> work(p);
    const Tensors in = fill(work, 1, true);
    expected = reference(p, in);
    work.run_forward(nullptr);
    work.run_backward(nullptr);
    check(cudaDeviceSynchronize(), "kernels");
    got = results(work);
  }
  bool good = true;
  std::printf("%-5s %6d %4d%s+%d ", type, p.rows, p.channels, p.residual ? " r" : "  ", p.shift);
  for (Numbers Results::*const one : {&Results::y, &Results::sum, &Results::scale, &Results::grad_x,
                                      &Results::grad_residual, &Results::grad_weight}) {
    const Numbers &got = runs[0].*one, &again = runs[1].*one;
    const double error = worst_error(got, expected.*one);
    const bool same =
        got.empty() || std::memcmp(got.data(), again.data(), got.size() * sizeof(double)) == 0;
    std::printf(" %.1e%s", error, same ? "" : " OTHER BITS");
    good = good && same && error <= tolerance;
  }
  std::printf("%s\n", good ? "" : "  FAILED");
  return good;
}

bool check_all() {
  std::printf("worst errors of y, sum, scale, grad_x, grad_residual, grad_weight\n");
  const Problem problems[] = {
      {1, 1},         {1, 2},           {3, 7},     {9, 64},   {50, 190},
      {257, 192},     {5000, 192},      {301, 384}, {33, 386}, {100, 768},
      {7, 1000},      {9000, 36},       {5, 2048},  {5, 2047}, {257, 192, false},
      {5, 33, false}, {100, 768, false}};
  bool good = true;
  for (Problem p : problems) {
    for (int shift : {0, 1}) {
      p.shift = shift;
      good = check_problem<float>(p, "fp32", 1e-5) && good;
      good = check_problem<__half>(p, "fp16", 2e-3) && good;
      good = check_problem<__nv_bfloat16>(p, "bf16", 1e-2) && good;
    }
  }
  return good;
}

template <class T>
void time_shape(const char* type, const Problem& p) {
  const double numbers = double(p.numbers());
  const double forward_bytes = numbers * (3 * sizeof(T) + 8),
               backward_bytes = numbers * (3 * sizeof(T) + 4 + (sizeof(T) == 2 ? 4 : 0));
  const auto works = works_to_time<Work<T>>(p, forward_bytes, 24);
  const double ahead =
      time_calls(works, [](const Work<T>& work, cudaStream_t stream) { work.run_forward(stream); });
  for (const Work<T>& work : works) work.run_forward(nullptr);
  const double back = time_calls(
      works, [](const Work<T>& work, cudaStream_t stream) { work.run_backward(stream); });
  std::printf("%-5s %6d %4d  %8.1f %6.2f  %8.1f %6.2f\n", type, p.rows, p.channels, ahead,
              forward_bytes / ahead * 1e-6, back, backward_bytes / back * 1e-6);
  std::fflush(stdout);
}

void time_all() {
  std::printf("us and TB/s         forward          backward\n");
  const Problem problems[] = {{128 * 197, 192}, {128 * 197, 384}, {8 * 6085, 192}, {197, 192}};
  for (const Problem& p : problems) time_shape<__nv_bfloat16>("bf16", p);
  time_shape<float>("fp32", problems[0]);
}

void profile(const Problem& p) {
  Work<__nv_bfloat16> work(p);
  fill(work, 1);
  work.run_forward(nullptr);
  work.run_backward(nullptr);
  check(cudaDeviceSynchronize(), "profile");
}

}  // namespace

int main(int argc, char** argv) {
  return vim::bench::run_program(argc, argv, {"ROWS", "CHANNELS"}, check_all, time_all,
                                 [](const int* n) {
                                   profile({n[0], n[1]});
                                 });
}
