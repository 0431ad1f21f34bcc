// The scan's CUDA kernels without torch: compares them with a reference in double over shapes and
// options, then times the shapes of Vision Mamba. `scan_cuda check`, `scan_cuda time`, or both; a
// batch, channels and length (`scan_cuda profile 128 384 197`) runs that shape once, for a
// profiler.
#include <cstring>
#include <iterator>
#include <mutex>
#include <random>
#include <string>

#include "cuda_bench.h"
#include "ops/selective_scan/cuda_kernel.h"
#include "scan_reference.h"

namespace {

using namespace vim::ops;
using namespace vim::ops::scan::cuda;
using vim::bench::check;
using vim::bench::DeviceArray;
using vim::bench::Numbers;
using vim::bench::numbers_of;
using vim::bench::relative_error;
using vim::bench::ScanProblem;
using vim::bench::ScanTensors;
using vim::bench::time_calls;
using vim::bench::to_float;

// Tensors as the mixer has them: z is the second half of a projection, B and C are slices of
// another before 16 other columns; `shift` elements in front of each misalign them.
template <class T>
struct Tensors {
  ScanProblem p;
  int shift;
  DeviceArray<T> u, delta, x, xz, out;
  DeviceArray<float> A, D, bias;
  static constexpr int kSteps = 16;

  Tensors(const ScanProblem& problem, int shift_)
      : p(problem),
        shift(shift_),
        u(p.directions * p.rows() + shift),
        delta(p.directions * p.rows() + shift),
        x(p.directions * p.tokens() * columns() + shift),
        xz(p.rows() * 2 + shift),
        out(p.rows() + shift),
        A(size_t(p.directions) * p.channels * p.state),
        D(size_t(p.directions) * p.channels),
        bias(size_t(p.directions) * p.channels) {}

  int columns() const { return 2 * p.state + kSteps; }
  Rows<T> rows(T* data) const { return {data + shift, int64_t(p.length) * p.channels, p.channels}; }
  Rows<T> of_u(int d) const { return rows(u.data() + d * p.rows()); }
  Rows<T> of_delta(int d) const { return rows(delta.data() + d * p.rows()); }
  Rows<T> of_B(int d) const {
    return {x.data() + d * p.tokens() * columns() + shift, int64_t(p.length) * columns(),
            columns()};
  }
  Rows<T> of_C(int d) const {
    Rows<T> rows = of_B(d);
    rows.data += p.state;
    return rows;
  }
  Rows<T> of_z() const {
    if (!p.gate) return {};
    return {xz.data() + p.channels + shift, int64_t(p.length) * 2 * p.channels, 2 * p.channels};
  }
  Rows<T> of_out() const { return rows(out.data()); }
  float* of_A(int d) const { return A.data() + size_t(d) * p.channels * p.state; }
  float* of_D(int d) const { return D.data() + size_t(d) * p.channels; }
  float* of_bias(int d) const { return bias.data() + size_t(d) * p.channels; }
};

template <class T>
Rows<const T> read_only(const Rows<T>& rows) {
  return {rows.data, rows.batch_stride, rows.token_stride};
}

// All that a forward and a backward pass need.
template <class T>
struct Work {
  Tensors<T> in, grad;
  Inputs<T> inputs;
  DeviceArray<unsigned char> saved, workspace;

  explicit Work(const ScanProblem& p, int shift = 0)
      : in(p, shift),
        grad(p, shift),
        inputs(describe()),
        saved(saved_bytes(inputs)),
        workspace(workspace_bytes(inputs)) {}

  Inputs<T> describe() const {
    const ScanProblem& p = in.p;
    Inputs<T> to{p.batch,       p.length, p.channels,           p.state,
                 p.directions,  {},       read_only(in.of_z()), p.softplus,
                 float(p.scale)};
    for (int d = 0; d < p.directions; ++d) {
      to.direction[d] = {read_only(in.of_u(d)),
                         read_only(in.of_delta(d)),
                         read_only(in.of_B(d)),
                         read_only(in.of_C(d)),
                         in.of_A(d),
                         in.of_D(d),
                         in.of_bias(d),
                         p.reverse != (d == 1)};
    }
    return to;
  }
  // The output goes into `in.out`, which then is its gradient's place: grad.out gets it again.
  Forward<T> forward_work(bool training) const {
    return {inputs, grad.of_out(), training ? saved.data() : nullptr};
  }
  Backward<T> backward_work() const {
    Backward<T> to{inputs,      saved.data(),  read_only(in.of_out()), {},
                   grad.of_z(), grad.of_out(), workspace.data()};
    for (int d = 0; d < in.p.directions; ++d) {
      to.grad[d] = {grad.of_u(d), grad.of_delta(d), grad.of_B(d),   grad.of_C(d),
                    grad.of_A(d), grad.of_D(d),     grad.of_bias(d)};
    }
    return to;
  }
};

// Numbers of the sizes that a Vision Mamba has: rates of 1 to 16, steps of 0.001 to 0.7. Returned
// where they are to be kept; else they repeat, as drawing so many takes long.
template <class T>
ScanTensors fill(const Tensors<T>& tensors, unsigned seed, bool keep) {
  constexpr size_t kPeriod = 1000003;
  const ScanProblem& p = tensors.p;
  std::minstd_rand random(seed);
  ScanTensors kept;
  const auto normal = [&] {  // near enough
    double sum = -6;
    for (int i = 0; i < 3; ++i) sum += 4.0 * random() / 2147483647.0;
    return sum / 2;
  };
  const auto put = [&](T* to, size_t count, double mean, double spread, Numbers& numbers) {
    std::vector<T> values(count);
    for (size_t i = 0; i < count; ++i) {
      const bool again = !keep && i >= kPeriod;
      values[i] = again ? values[i - kPeriod] : T(float(mean + spread * normal()));
      if (keep) numbers.push_back(to_float(values[i]));
    }
    check(cudaMemcpy(to, values.data(), count * sizeof(T), cudaMemcpyHostToDevice), "copy");
  };
  const auto put_floats = [&](float* to, size_t count, auto number, Numbers& numbers) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) numbers.push_back(values[i] = float(number(i)));
    check(cudaMemcpy(to, values.data(), count * sizeof(float), cudaMemcpyHostToDevice), "copy");
  };
  Numbers x, xz;
  put(tensors.u.data() + tensors.shift, p.directions * p.rows(), 0, 1, kept.u);
  put(tensors.delta.data() + tensors.shift, p.directions * p.rows(), 0, 0.3, kept.delta);
  put(tensors.x.data() + tensors.shift, p.directions * p.tokens() * tensors.columns(), 0, 1, x);
  put(tensors.xz.data() + tensors.shift, p.rows() * 2, 0, 1, xz);
  put(tensors.out.data() + tensors.shift, p.rows(), 0, 1, kept.out);
  const size_t all_channels = size_t(p.directions) * p.channels;
  put_floats(
      tensors.A.data(), all_channels * p.state,
      [&](size_t i) { return -(double(i % p.state) + 1) * (1 + 0.1 * normal()); }, kept.A);
  put_floats(
      tensors.D.data(), all_channels, [&](size_t) { return 1 + 0.1 * normal(); }, kept.D);
  put_floats(
      tensors.bias.data(), all_channels,
      [&](size_t i) { return p.softplus ? -6.5 + 6.5 * double(i % 97) / 96 : 1.5; }, kept.bias);
  for (size_t t = 0; keep && t < p.directions * p.tokens(); ++t) {
    const auto row = x.begin() + t * tensors.columns();
    kept.B.insert(kept.B.end(), row, row + p.state);
    kept.C.insert(kept.C.end(), row + p.state, row + 2 * p.state);
  }
  for (size_t t = 0; keep && t < p.tokens(); ++t) {
    const auto row = xz.begin() + (2 * t + 1) * p.channels;
    kept.z.insert(kept.z.end(), row, row + p.channels);
  }
  return kept;
}

template <class T>
ScanTensors read_results(const Tensors<T>& t) {
  const ScanProblem& p = t.p;
  const size_t d = p.directions, b = t.shift;
  const size_t channels = p.channels, state = p.state, columns = t.columns();
  return {numbers_of(t.u, t.shift, 1, 0, d * p.rows()),
          numbers_of(t.delta, t.shift, 1, 0, d * p.rows()),
          numbers_of(t.x, b, d * p.tokens(), columns, state),
          numbers_of(t.x, b + state, d * p.tokens(), columns, state),
          numbers_of(t.A, 0, 1, 0, d * channels * state),
          numbers_of(t.D, 0, 1, 0, d * channels),
          numbers_of(t.bias, 0, 1, 0, d * channels),
          p.gate ? numbers_of(t.xz, channels + t.shift, p.tokens(), 2 * channels, channels)
                 : Numbers(p.rows()),
          numbers_of(t.out, t.shift, 1, 0, p.rows())};
}

std::mutex gpu;

struct Checked {
  std::string line;
  bool good = false;
};

template <class T>
Checked check_shape(const ScanProblem& p, int shift, const char* type, double tolerance) {
  Work<T> work(p, shift);
  const ScanTensors in = fill(work.in, 1, true);
  const ScanTensors expected = vim::bench::scan_reference(p, in);
  const std::lock_guard one_at_a_time(gpu);
  double errors[9][2];
  bool same = true;
  ScanTensors before;
  for (int run = 0; run < 2; ++run) {
    check(forward(work.forward_work(false), nullptr), "forward");
    check(cudaDeviceSynchronize(), "forward");
    const Numbers out = read_results(work.grad).out;
    check(forward(work.forward_work(true), nullptr), "forward, training");
    check(cudaDeviceSynchronize(), "forward, training");
    same = same && std::memcmp(out.data(), read_results(work.grad).out.data(),
                               out.size() * sizeof(double)) == 0;
    if (p.gate) check(cudaMemset(work.grad.out.data(), 0xff, p.rows() * sizeof(T)), "cudaMemset");
    check(backward(work.backward_work(), nullptr), "backward");
    check(cudaDeviceSynchronize(), "backward");
    const ScanTensors got = read_results(work.grad);
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
  print("%s%s", same ? "" : "  OTHER BITS", checked.good ? "" : "  FAILED");
  return checked;
}

bool check_all() {
  std::printf(
      "relative errors        out     again   du      ddelta  dz      dB      dC      dA      dD, "
      "dbias\n");
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
  constexpr size_t kSeveralCaches = size_t(400) << 20;
  const int sets =
      std::max<int>(2, std::min<size_t>(8, kSeveralCaches / (p.rows() * sizeof(T) * 12)));
  std::vector<Work<T>> works;
  works.reserve(sets);
  for (int i = 0; i < sets; ++i) {
    works.emplace_back(p);
    fill(works.back().in, 1 + i, false);
  }
  const double inference = time_calls(sets, [&](int i, cudaStream_t stream) {
    check(forward(works[i].forward_work(false), stream), "forward");
  });
  const double training = time_calls(sets, [&](int i, cudaStream_t stream) {
    check(forward(works[i].forward_work(true), stream), "forward");
  });
  for (int i = 0; i < sets; ++i) check(forward(works[i].forward_work(true), nullptr), "forward");
  const double back = time_calls(sets, [&](int i, cudaStream_t stream) {
    check(backward(works[i].backward_work(), stream), "backward");
  });
  std::printf("%-5s %4d %4d %5d  %9.1f %9.1f %9.1f\n", type, batch, channels, length, inference,
              training, back);
  std::fflush(stdout);
}

void time_all() {
  std::printf("both directions, us       inference  training  backward\n");
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
  Work<__nv_bfloat16> work(mixer(batch, channels, length));
  fill(work.in, 1, false);
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
