// The scan's CUDA kernels without torch: compares them with a reference in double over shapes and
// options, then times the shapes of Vision Mamba. `scan_cuda check`, `scan_cuda time`, or both; a
// batch, channels and length (`scan_cuda profile 128 384 197`) runs that shape once, for a
// profiler.
#include <cstring>
#include <iterator>
#include <mutex>
#include <string>

#include "cuda_bench.h"
#include "ops/selective_scan/cuda_kernel.h"
#include "scan_reference.h"
#include "scan_work.h"

namespace {

using vim::bench::check;
using vim::bench::Numbers;
using vim::bench::relative_error;
using vim::bench::ScanProblem;
using vim::bench::ScanTensors;
using vim::bench::ScanWork;
using vim::bench::time_calls;
using vim::bench::works_to_time;

std::mutex gpu;

struct Checked {
  std::string line;
  bool good = false;
};

template <class T>
Checked check_shape(const ScanProblem& p, int shift, const char* type, double tolerance) {
  const ScanWork<T> work(p, shift);
  const ScanTensors in = fill(work, 1, true);
  const ScanTensors expected = vim::bench::scan_reference(p, in);
  const std::lock_guard one_at_a_time(gpu);
  double errors[9][2], by_steps = 0;
  bool same = true;
  ScanTensors before;
  for (int run = 0; run < 2; ++run) {
    check(forward(work.forward_work(false), nullptr), "forward");
    check(cudaDeviceSynchronize(), "forward");
    const Numbers out = work.grad.read().out;
    if (takes_steps(work.forward_by_steps())) {
      check(cudaMemset(work.grad.out.data(), 0xff, p.rows() * sizeof(T)), "cudaMemset");
      check(forward(work.forward_by_steps(), nullptr), "forward by steps");
      check(cudaDeviceSynchronize(), "forward by steps");
      by_steps = relative_error(work.grad.read().out, expected.out);
    }
    check(forward(work.forward_work(true), nullptr), "forward, training");
    check(cudaDeviceSynchronize(), "forward, training");
    same = same &&
           std::memcmp(out.data(), work.grad.read().out.data(), out.size() * sizeof(double)) == 0;
    if (p.gate) check(cudaMemset(work.grad.out.data(), 0xff, p.rows() * sizeof(T)), "cudaMemset");
    check(backward(work.backward_work(), nullptr), "backward");
    check(cudaDeviceSynchronize(), "backward");
    const ScanTensors got = work.grad.read();
    const Numbers ScanTensors::*const all[] = {
        &ScanTensors::out, &ScanTensors::out, &ScanTensors::u, &ScanTensors::delta, &ScanTensors::z,
        &ScanTensors::B,   &ScanTensors::C,   &ScanTensors::A, &ScanTensors::D};
    for (int i = 0; i < 9; ++i) {
      errors[i][run] = relative_error(i == 0 ? out : got.*all[i], expected.*all[i]);
      if (run == 1 && i > 0) {
        same = same && std::memcmp((got.*all[i]).data(), (before.*all[i]).data(),
                                   (got.*all[i]).size() * sizeof(double)) == 0;
      }
    }
    const double bias = relative_error(got.bias, expected.bias);
    errors[8][run] = std::isnan(bias) ? bias : std::max(errors[8][run], bias);
    before = got;
  }
  Checked checked{{}, same};
  char text[80];
  const auto print = [&](const char* format, auto... values) {
    std::snprintf(text, sizeof(text), format, values...);
    checked.line += text;
  };
  print("%-5s %4d %4d %5d N%-2d d%d%s%s%s+%d", type, p.batch, p.channels, p.length, p.state,
        p.directions, p.reverse ? "r" : " ", p.gate ? "z" : " ", p.softplus ? "s" : " ", shift);
  for (const auto& error : errors) {
    print(" %.1e", error[1]);
    checked.good = checked.good && error[1] <= tolerance;
  }
  if (takes_steps(work.forward_by_steps())) print(" %.1e", by_steps);
  checked.good = checked.good && by_steps <= tolerance;
  print("%s%s", same ? "" : "  OTHER BITS", checked.good ? "" : "  FAILED");
  return checked;
}

bool check_all() {
  std::printf(
      "relative errors        out     again   du      ddelta  dz      dB      dC      dA      dD, "
      "dbias  by steps\n");
  const ScanProblem problems[] = {
      {2, 197, 72, 16, 2, false, true, true, 0.5},
      {1, 1, 1, 16, 2, false, true, true, 0.5},
      {3, 2, 64, 16, 2, false, true, true, 0.5},
      {2, 15, 130, 16, 2, true, true, true, 0.5},
      {2, 16, 128, 16, 1, false, true, true, 1},
      {2, 17, 33, 16, 1, true, true, true, 1},
      {2, 33, 96, 16, 1, true, false, false, 1},
      {3, 100, 40, 16, 2, false, false, true, 0.5},
      {2, 61, 50, 3, 2, false, true, true, 0.5},
      {2, 61, 50, 20, 2, false, true, true, 0.5},
      {2, 61, 50, 64, 1, true, true, true, 1},
      {1, 730, 192, 16, 2, false, true, true, 0.5},
      {1, 2050, 64, 16, 2, false, true, true, 0.5},
      {200, 21, 384, 16, 2, false, true, true, 0.5},
      {160, 197, 192, 16, 2, false, true, true, 0.5},
      {1000, 5, 70, 16, 2, false, true, true, 0.5},
      // On an H100 these are split into blocks of two and of three rows.
      {10, 45, 128, 16, 2, false, true, true, 0.5},
      {14, 75, 200, 16, 2, true, true, true, 0.5},
      {28, 50, 200, 16, 1, false, true, true, 1}};
  // All at once, but for the GPU's part: the reference takes most of the time, often on one thread.
  constexpr int kEach = 6, kCount = std::size(problems) * kEach;
  std::vector<Checked> checked(kCount);
  vim::bench::on_threads(kCount, [&](int i) {
    const ScanProblem& p = problems[i / kEach];
    const int type = i % 3, shift = i % kEach / 3;
    checked[i] = type == 0   ? check_shape<float>(p, shift, "fp32", 2e-5)
                 : type == 1 ? check_shape<__half>(p, shift, "fp16", 6e-3)
                             : check_shape<__nv_bfloat16>(p, shift, "bf16", 8e-3);
  });
  bool good = true;
  for (const Checked& one : checked) {
    std::printf("%s\n", one.line.c_str());
    good = good && one.good;
  }
  return good;
}

ScanProblem mixer(int batch, int channels, int length) {
  return {batch, length, channels, 16, 2, false, true, true, 0.5};
}

template <class T>
void time_shape(const char* type, int batch, int channels, int length) {
  const ScanProblem p = mixer(batch, channels, length);
  const auto works = works_to_time<ScanWork<T>>(p, double(p.rows()) * sizeof(T) * 12, 8);
  const double inference = time_calls(works, [](const ScanWork<T>& work, cudaStream_t stream) {
    check(forward(work.forward_work(false), stream), "forward");
  });
  const double training = time_calls(works, [](const ScanWork<T>& work, cudaStream_t stream) {
    check(forward(work.forward_work(true), stream), "forward");
  });
  for (const ScanWork<T>& work : works) check(forward(work.forward_work(true), nullptr), "forward");
  const double back = time_calls(works, [](const ScanWork<T>& work, cudaStream_t stream) {
    check(backward(work.backward_work(), stream), "backward");
  });
  double by_steps = 0;
  if (takes_steps(works[0].forward_by_steps())) {
    by_steps = time_calls(works, [](const ScanWork<T>& work, cudaStream_t stream) {
      check(forward(work.forward_by_steps(), stream), "forward by steps");
    });
  }
  std::printf("%-5s %4d %4d %5d  %9.1f %9.1f %9.1f ", type, batch, channels, length, inference,
              training, back);
  std::printf(by_steps > 0 ? "%9.1f\n" : "        -\n", by_steps);
}

void time_all() {
  std::printf("both directions, us       inference  training  backward  by steps\n");
  const int shapes[][3] = {{128, 384, 197}, {128, 768, 197}, {32, 384, 197}, {32, 384, 1025},
                           {64, 384, 785},  {8, 384, 6085},  {8, 768, 6085}, {4, 384, 16385},
                           {1, 384, 197},   {1, 384, 6085},  {1024, 192, 65}};
  for (const auto& [batch, channels, length] : shapes) {
    time_shape<__nv_bfloat16>("bf16", batch, channels, length);
  }
  time_shape<__half>("fp16", 128, 384, 197);
  time_shape<__half>("fp16", 8, 384, 6085);
  time_shape<float>("fp32", 128, 384, 197);
  time_shape<float>("fp32", 8, 384, 6085);
}

void profile(int batch, int channels, int length) {
  const ScanWork<__nv_bfloat16> work(mixer(batch, channels, length));
  fill(work, 1);
  check(forward(work.forward_work(false), nullptr), "forward");
  check(forward(work.forward_work(true), nullptr), "forward");
  check(backward(work.backward_work(), nullptr), "backward");
  check(cudaDeviceSynchronize(), "profile");
}

}  // namespace

int main(int argc, char** argv) {
  return vim::bench::run_program(argc, argv, {"BATCH", "CHANNELS", "LENGTH"}, check_all, time_all,
                                 [](const int* n) { profile(n[0], n[1], n[2]); });
}
