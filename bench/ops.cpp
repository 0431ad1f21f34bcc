// The operators against ATen, and the scan over growing lengths (docs/performance.md has results).
//   bench_ops --benchmark_filter=Scan
// VIM_CPU_ISA=avx2|baseline measures older processors' kernels, OMP_NUM_THREADS=1 one thread.
#include "vim/ops/ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "ops/oracle.h"

namespace {

using Tensors = std::vector<at::Tensor>;
using Function = std::function<at::Tensor()>;

constexpr int64_t kState = 16, kTaps = 4;

// The shapes of a run: batch, length, channels. `elements` in the results are their product a
// second.
void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"batch", "length", "channels"})
      ->Args({8, 197, 384})
      ->Args({128, 65, 192})
      ->Args({128, 17, 128})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

void lengths(benchmark::internal::Benchmark* b) {
  b->ArgNames({"batch", "length", "channels"});
  for (int64_t length = 256; length <= 16384; length *= 4) b->Args({1, length, 384});
  b->Unit(benchmark::kMillisecond)->UseRealTime();
}

at::Tensor leaf(at::Tensor tensor) {
  return tensor.requires_grad_(true);
}

vim::test::ScanInputs scan_inputs(const benchmark::State& state) {
  const int64_t batch = state.range(0), length = state.range(1), channels = state.range(2);
  vim::test::ScanInputs in;
  in.u = leaf(at::randn({batch, length, channels}));
  in.delta = leaf(at::randn({batch, length, channels}) - 4);
  in.A = leaf(-at::arange(1, kState + 1).to(at::kFloat).repeat({channels, 1}));
  in.B = leaf(at::randn({batch, length, kState}));
  in.C = leaf(at::randn({batch, length, kState}));
  in.D = leaf(at::ones({channels}));
  in.z = leaf(at::randn({batch, length, channels}));
  in.delta_bias = leaf(at::zeros({channels}));
  return in;
}

void count_elements(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * state.range(0) * state.range(1) * state.range(2));
}

void inference(benchmark::State& state, const Function& function) {
  const c10::NoGradGuard no_grad;
  for (auto _ : state) benchmark::DoNotOptimize(function());
  count_elements(state);
}

void training(benchmark::State& state, const Function& function, const Tensors& inputs) {
  const at::Tensor grad = at::randn({state.range(0), state.range(1), state.range(2)});
  for (auto _ : state) {
    benchmark::DoNotOptimize(torch::autograd::grad({function()}, inputs, {grad}));
  }
  count_elements(state);
}

at::Tensor scan(const vim::test::ScanInputs& in) {
  return vim::ops::selective_scan(in.u, in.delta, in.A, in.B, in.C, in.D, in.z, in.delta_bias,
                                  in.delta_softplus, in.reverse);
}

void ScanInference(benchmark::State& state) {
  const auto in = scan_inputs(state);
  inference(state, [&] { return scan(in); });
}
void ScanTraining(benchmark::State& state) {
  const auto in = scan_inputs(state);
  training(
      state, [&] { return scan(in); }, in.tensors());
}
void OracleScanTraining(benchmark::State& state) {
  const auto in = scan_inputs(state);
  training(
      state, [&] { return vim::test::scan_oracle(in); }, in.tensors());
}

void ConvTraining(benchmark::State& state) {
  const int64_t channels = state.range(2);
  const Tensors in = {leaf(at::randn({state.range(0), state.range(1), channels})),
                      leaf(at::randn({channels, kTaps})), leaf(at::randn({channels}))};
  training(
      state, [&] { return vim::ops::causal_conv1d(in[0], in[1], in[2], true, false); }, in);
}
void OracleConvTraining(benchmark::State& state) {
  const int64_t channels = state.range(2);
  const Tensors in = {leaf(at::randn({state.range(0), state.range(1), channels})),
                      leaf(at::randn({channels, kTaps})), leaf(at::randn({channels}))};
  training(
      state, [&] { return vim::test::conv_oracle(in[0], in[1], in[2], true, false); }, in);
}

void NormTraining(benchmark::State& state) {
  const int64_t channels = state.range(2);
  const at::Tensor x = at::randn({state.range(0), state.range(1), channels});
  const Tensors in = {leaf(x), leaf(at::randn_like(x)), leaf(at::ones({channels}))};
  training(
      state, [&] { return std::get<0>(vim::ops::add_rms_norm(in[0], in[1], in[2], 1e-5)); }, in);
}
void OracleNormTraining(benchmark::State& state) {
  const int64_t channels = state.range(2);
  const at::Tensor x = at::randn({state.range(0), state.range(1), channels});
  const Tensors in = {leaf(x), leaf(at::randn_like(x)), leaf(at::ones({channels}))};
  training(
      state, [&] { return vim::test::norm_oracle(in[0] + in[1], in[2], 1e-5); }, in);
}

BENCHMARK(ScanInference)->Apply(shapes);
BENCHMARK(ScanTraining)->Apply(shapes);
BENCHMARK(OracleScanTraining)->Apply(shapes);
BENCHMARK(ConvTraining)->Apply(shapes);
BENCHMARK(OracleConvTraining)->Apply(shapes);
BENCHMARK(NormTraining)->Apply(shapes);
BENCHMARK(OracleNormTraining)->Apply(shapes);
BENCHMARK(ScanInference)->Apply(lengths);
BENCHMARK(ScanTraining)->Apply(lengths);

}  // namespace

BENCHMARK_MAIN();
