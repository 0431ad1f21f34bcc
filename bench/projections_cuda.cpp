// The kernels of the projections between convolution and scan, without torch: compares them with a
// reference in double over shapes, then times the shapes of Vision Mamba. `projections_cuda check`,
// `projections_cuda time`, or both; a batch, channels and length (`projections_cuda profile 128 384
// 197`) runs that shape once, for a profiler.
#include <cstring>
#include <random>

#include "cuda_bench.h"
#include "ops/bidirectional_mixer/cuda_projections.h"

namespace {

using namespace vim::ops::mixer::cuda;
using vim::bench::check;
using vim::bench::DeviceArray;
using vim::bench::Numbers;
using vim::bench::numbers_of;
using vim::bench::relative_error;
using vim::bench::time_calls;
using vim::bench::works_to_time;

ProjectionShape shape_of(int64_t tokens, int channels, int state, int rank) {
  return {tokens, channels, state, rank, (2 * state + rank + 7) / 8 * 8 - 2 * state};
}

// Both directions' tensors, one direction after the other.
template <class T>
struct Work {
  ProjectionShape shape;
  DeviceArray<T> x, u, x_proj, dt_proj, delta, grad_delta, grad_x, grad_u;
  DeviceArray<float> grad_x_proj, grad_dt_proj, workspace;

  size_t rows() const { return 2 * size_t(shape.tokens); }
  size_t kept() const { return 2 * shape.state + shape.rank; }
  size_t numbers() const { return rows() * shape.channels; }

  explicit Work(const ProjectionShape& s)
      : shape(s),
        x(rows() * s.width()),
        u(numbers()),
        x_proj(size_t(2) * s.width() * s.channels),
        dt_proj(size_t(2) * s.channels * s.step_width),
        delta(numbers()),
        grad_delta(numbers()),
        grad_x(rows() * s.width()),
        grad_u(numbers()),
        grad_x_proj(2 * kept() * s.channels),
        grad_dt_proj(size_t(2) * s.channels * s.rank),
        workspace(workspace_floats(s)) {}

  Expansion<T> expansion() const {
    Expansion<T> work{shape, {}};
    for (int d = 0; d < 2; ++d) {
      work.direction[d] = {x.data() + d * shape.tokens * shape.width(),
                           dt_proj.data() + size_t(d) * shape.channels * shape.step_width,
                           delta.data() + d * shape.tokens * shape.channels};
    }
    return work;
  }
  ProjectionGradients<T> gradients() const {
    ProjectionGradients<T> work{shape, {}, workspace.data()};
    const int64_t rows = shape.tokens * shape.width(), numbers = shape.tokens * shape.channels;
    for (int d = 0; d < 2; ++d) {
      // The rows of the step come first in the parameter.
      float* const to = grad_x_proj.data() + d * kept() * shape.channels;
      work.direction[d] = {x.data() + d * rows,
                           u.data() + d * numbers,
                           x_proj.data() + size_t(d) * shape.width() * shape.channels,
                           dt_proj.data() + size_t(d) * shape.channels * shape.step_width,
                           grad_delta.data() + d * numbers,
                           grad_x.data() + d * rows,
                           grad_u.data() + d * numbers,
                           {to + size_t(shape.rank) * shape.channels, to},
                           grad_dt_proj.data() + size_t(d) * shape.channels * shape.rank};
    }
    return work;
  }
};

// Random numbers; large tensors repeat, as drawing so many takes long. Columns of padding are
// zeros, and those of grad_x that the kernels write stay NaN.
template <class T>
void fill(const Work<T>& work, unsigned seed) {
  const ProjectionShape& s = work.shape;
  std::minstd_rand random(seed);
  std::vector<T> values;
  const auto draw = [&](size_t count) {
    constexpr size_t kPeriod = 1000003;
    values.resize(count);
    const size_t drawn = std::min(count, kPeriod);
    for (size_t i = 0; i < drawn; ++i) values[i] = T(float(2.0 * random() / 2147483647.0 - 1));
    for (size_t i = drawn; i < count; i += drawn) {
      std::copy_n(values.begin(), std::min(drawn, count - i), values.begin() + i);
    }
  };
  const auto put = [&](const DeviceArray<T>& to) {
    check(cudaMemcpy(to.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
          "copy");
  };
  for (const auto* array : {&work.u, &work.grad_delta, &work.grad_u}) {
    draw(work.numbers());
    put(*array);
  }
  const size_t width = s.width(), kept = work.kept(), channels = s.channels;
  draw(work.rows() * width);
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % width >= kept) values[i] = T(0.0f);
  }
  put(work.x);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = i % width < size_t(2 * s.state) ? values[i] : T(NAN);
  }
  put(work.grad_x);
  draw(2 * width * channels);
  for (size_t i = 0; i < values.size(); ++i) {
    if (i / channels % width >= kept) values[i] = T(0.0f);
  }
  put(work.x_proj);
  draw(2 * channels * s.step_width);
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % s.step_width >= size_t(s.rank)) values[i] = T(0.0f);
  }
  put(work.dt_proj);
}

template <class T>
Numbers all_of(const DeviceArray<T>& array, size_t count) {
  return numbers_of(array, 0, 1, 0, count);
}

struct Results {
  Numbers delta, grad_x, grad_u, grad_x_proj, grad_dt_proj;
};
constexpr Numbers Results::*kResults[] = {&Results::delta, &Results::grad_x, &Results::grad_u,
                                          &Results::grad_x_proj, &Results::grad_dt_proj};

template <class T>
Results run(const Work<T>& work) {
  fill(work, 1);
  check(expand_steps(work.expansion(), nullptr), "expand_steps");
  check(projection_gradients(work.gradients(), nullptr), "projection_gradients");
  check(cudaDeviceSynchronize(), "kernels");
  const ProjectionShape& s = work.shape;
  return {all_of(work.delta, work.numbers()), all_of(work.grad_x, work.rows() * s.width()),
          all_of(work.grad_u, work.numbers()),
          all_of(work.grad_x_proj, 2 * work.kept() * s.channels),
          all_of(work.grad_dt_proj, size_t(2) * s.channels * s.rank)};
}

// `got.grad_x`, which is rounded, goes into what is computed from it.
template <class T>
Results reference(const Work<T>& work, const Results& got) {
  const ProjectionShape& s = work.shape;
  const int first = 2 * s.state, width = s.width(), channels = s.channels;
  fill(work, 1);
  Results to{Numbers(work.numbers()), all_of(work.grad_x, work.rows() * width),
             all_of(work.grad_u, work.numbers()), Numbers(got.grad_x_proj.size()),
             Numbers(got.grad_dt_proj.size())};
  const Numbers x = all_of(work.x, work.rows() * width), u = all_of(work.u, work.numbers());
  const Numbers grad_delta = all_of(work.grad_delta, work.numbers());
  const Numbers x_proj = all_of(work.x_proj, size_t(2) * width * channels);
  const Numbers dt_proj = all_of(work.dt_proj, size_t(2) * channels * s.step_width);
  for (size_t row = 0; row < work.rows(); ++row) {
    const size_t d = row / s.tokens;
    const double* const steps = &x[row * width + first];
    double* const grad_steps = &to.grad_x[row * width + first];
    std::fill_n(grad_steps, s.step_width, 0.0);
    for (int c = 0; c < channels; ++c) {
      const size_t i = row * channels + c;
      for (int r = 0; r < s.step_width; ++r) {
        const double weight = dt_proj[(d * channels + c) * s.step_width + r];
        to.delta[i] += steps[r] * weight;
        grad_steps[r] += grad_delta[i] * weight;
        if (r < s.rank)
          to.grad_dt_proj[(d * channels + c) * s.rank + r] += grad_delta[i] * steps[r];
      }
    }
    for (int n = 0; n < width; ++n) {
      const double grad = got.grad_x[row * width + n];
      const size_t parameter = d * work.kept() + (n < first ? s.rank + n : n - first);
      for (int c = 0; c < channels; ++c) {
        to.grad_u[row * channels + c] += grad * x_proj[(d * width + n) * channels + c];
        if (n < first + s.rank) {
          to.grad_x_proj[parameter * channels + c] += grad * u[row * channels + c];
        }
      }
    }
  }
  return to;
}

template <class T>
bool check_shape(const ProjectionShape& s, const char* type, double tolerance) {
  const Work<T> work(s);
  const Results got = run(work), again = run(work), expected = reference(work, got);
  std::printf("%-5s %6d tokens %4d channels, state %2d, rank %2d:", type, int(s.tokens), s.channels,
              s.state, s.rank);
  bool good = fits(s);
  for (const auto member : kResults) {
    const bool is_float = member == &Results::grad_x_proj || member == &Results::grad_dt_proj;
    const double error = relative_error(got.*member, expected.*member);
    const bool same = std::memcmp((got.*member).data(), (again.*member).data(),
                                  (got.*member).size() * sizeof(double)) == 0;
    std::printf(" %.1e%s", error, same ? "" : " OTHER BITS");
    good = good && same && error <= (is_float ? 2e-6 : tolerance);
  }
  std::printf("%s\n", good ? "" : "  FAILED");
  return good;
}

bool check_all() {
  std::printf("relative errors of delta, grad_x, grad_u, grad_x_proj, grad_dt_proj\n");
  const ProjectionShape shapes[] = {shape_of(1, 384, 16, 12),   shape_of(31, 384, 16, 12),
                                    shape_of(33, 768, 16, 24),  shape_of(65, 40, 8, 3),
                                    shape_of(197, 384, 16, 12), shape_of(1000, 72, 16, 32),
                                    shape_of(3000, 8, 4, 1),    shape_of(777, 400, 16, 25),
                                    shape_of(4001, 128, 28, 8), shape_of(2000, 768, 16, 24)};
  bool good = true;
  for (const ProjectionShape& s : shapes) {
    good = check_shape<__half>(s, "fp16", 3e-4) && good;
    good = check_shape<__nv_bfloat16>(s, "bf16", 2.4e-3) && good;
  }
  return check_shape<__nv_bfloat16>(shape_of(30000, 136, 16, 12), "bf16", 2.4e-3) && good;
}

ProjectionShape vim_shape(int batch, int channels, int length) {
  return shape_of(int64_t{batch} * length, channels, 16, channels / 32);
}

void time_all() {
  std::printf("batch channels length     delta        gradients: us and TB/s\n");
  const int shapes[][3] = {{128, 384, 197}, {128, 768, 197}, {8, 384, 6085},
                           {8, 768, 6085},  {32, 384, 197},  {1, 384, 197}};
  for (const auto& [batch, channels, length] : shapes) {
    const ProjectionShape shape = vim_shape(batch, channels, length);
    const double row = 2.0 * 2 * shape.tokens, narrow = row * shape.width();
    const double wide = row * channels;  // bytes of both directions
    const auto works = works_to_time<Work<__nv_bfloat16>>(shape, wide * 4, 16);
    const double ahead = time_calls(works, [](const auto& work, cudaStream_t stream) {
      check(expand_steps(work.expansion(), stream), "expand_steps");
    });
    const double back = time_calls(works, [](const auto& work, cudaStream_t stream) {
      check(projection_gradients(work.gradients(), stream), "projection_gradients");
    });
    // grad_x is read twice, grad_u read and written.
    std::printf("%5d %8d %6d  %8.1f %5.2f  %8.1f %5.2f\n", batch, channels, length, ahead,
                (wide + row * shape.step_width) / ahead * 1e-6, back,
                (4 * wide + 3 * narrow) / back * 1e-6);
    std::fflush(stdout);
  }
}

void profile(int batch, int channels, int length) {
  const Work<__nv_bfloat16> work(vim_shape(batch, channels, length));
  fill(work, 1);
  check(expand_steps(work.expansion(), nullptr), "expand_steps");
  check(projection_gradients(work.gradients(), nullptr), "projection_gradients");
  check(cudaDeviceSynchronize(), "profile");
}

}  // namespace

int main(int argc, char** argv) {
  return vim::bench::run_program(argc, argv, {"BATCH", "CHANNELS", "LENGTH"}, check_all, time_all,
                                 [](const int* n) { profile(n[0], n[1], n[2]); });
}
