// The scan on a GPU against the recurrence in double and against the CPU's scan.
#include <ATen/Context.h>
#include <c10/core/GradMode.h>

#include "ops/compare.h"
#include "ops/oracle.h"
#include "ops/scan_cases.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/ops/ops.h"

using namespace vim::test;

#define VIM_NEEDS_GPU() \
  if (!at::hasCUDA()) VIM_SKIP("there is no GPU")

namespace {

// Relative to the largest number of a tensor.
constexpr Target kOnGpu[] = {{at::kCUDA, at::kFloat, 1e-5, 1e-4},
                             {at::kCUDA, at::kHalf, 5e-3, 2e-2},
                             {at::kCUDA, at::kBFloat16, 2e-2, 4e-2}};

Tensors scan(const ScanInputs& in) {
  return {vim::ops::selective_scan(in.u, in.delta, in.A, in.B, in.C, in.D, in.z, in.delta_bias,
                                   in.delta_softplus, in.reverse)};
}

// On the GPU, in memory that held NaNs, so that nothing is taken for written that is not. Leaves
// are on the CPU.
Function on_gpu(const ScanInputs& in, const std::function<at::Tensor(const at::Tensor&)>& arrange) {
  return [=](const Tensors& tensors) {
    const auto options = at::TensorOptions(at::kFloat).device(at::kCUDA);
    for (const int64_t size : {1 << 10, 1 << 16, 1 << 22, 1 << 25}) {
      const at::Tensor poison = at::full({size}, std::numeric_limits<double>::quiet_NaN(), options);
    }
    Tensors moved;
    for (const at::Tensor& t : tensors) moved.push_back(arrange(t.to(at::kCUDA)));
    return Tensors{scan(with_tensors(in, moved))[0].to(at::kCPU)};
  };
}
at::Tensor as_it_is(const at::Tensor& t) {
  return t;
}

void check_against_recurrence(const ScanInputs& in) {
  const Function oracle = [&](const Tensors& t) {
    return Tensors{scan_oracle(with_tensors(in, t))};
  };
  for (const Target& precision : kOnGpu) {
    const Tensors given = leaves(in.tensors(), precision.dtype, at::kCPU, in.parameters());
    const Tensors expected = results_and_gradients(oracle, leaves(given, at::kDouble));
    const Tensors got = results_and_gradients(on_gpu(in, as_it_is), given);
    if (may_overflow(expected, precision.dtype)) continue;
    for (size_t i = 0; i < got.size(); ++i) {
      INFO(precision.dtype << ", result or gradient " << i);
      check_close(got[i], expected[i], i < 1 ? precision.result : precision.gradient);
    }
  }
}

}  // namespace

TEST_CASE("The scan on a GPU is the recurrence, for every shape and option") {
  VIM_NEEDS_GPU();
  at::manual_seed(fresh_seed());
  const ScanCase c = GENERATE(ScanCase{1, 1, 1, 1},                                    //
                              ScanCase{5, 2, 7, 3},                                    //
                              ScanCase{2, 15, 33, 16},                                 //
                              ScanCase{1, 16, 64, 16},                                 //
                              ScanCase{2, 17, 66, 16},                                 //
                              ScanCase{2, 40, 65, 64},                                 //
                              ScanCase{2, 31, 26, 20},                                 //
                              ScanCase{3, 196, 40, 16},                                //
                              ScanCase{1, 197, 384, 16},                               //
                              ScanCase{1, 730, 24, 16},                                //
                              ScanCase{1, 1025, 33, 16},                               //
                              ScanCase{300, 9, 384, 16},                               //
                              ScanCase{1000, 3, 20, 5},                                //
                              ScanCase{2, 33, 20, 6, false, true, true},               //
                              ScanCase{2, 33, 20, 6, true, false, true},               //
                              ScanCase{2, 33, 20, 6, true, true, false},               //
                              ScanCase{2, 33, 20, 16, false, false, false},            //
                              ScanCase{2, 33, 20, 16, true, true, true, false},        //
                              ScanCase{3, 197, 20, 16, true, true, true, true, true},  //
                              ScanCase{300, 9, 384, 16, true, true, true, true, true});
  CAPTURE(c);
  check_against_recurrence(random_inputs(c));
}

TEST_CASE("The scan on a GPU holds at the extremes of its inputs") {
  VIM_NEEDS_GPU();
  at::manual_seed(fresh_seed());
  ScanInputs in = random_inputs({2, 49, 20, 16});
  SECTION("steps so long that nothing is remembered") {
    in.delta = in.delta.abs() * 1e3 + 25;
  }
  SECTION("steps so short that nothing is forgotten") {
    in.delta = in.delta - 8;
  }
  SECTION("a decay of almost one") {
    in.A = in.A * 1e-6;
  }
  SECTION("a decay of exactly one") {
    in.A = in.A * 0;
  }
  SECTION("gates fully open and shut") {
    in.z = in.z * 1e3;
  }
  check_against_recurrence(in);
}

TEST_CASE("Long sequences on a GPU are those on the CPU") {
  VIM_NEEDS_GPU();
  at::manual_seed(fresh_seed());
  const int64_t length = GENERATE(6085, 16385);
  const ScanInputs in = random_inputs({1, length, 40, 16, true, true, true, true, length == 6085});
  const Function on_cpu = [&](const Tensors& t) { return scan(with_tensors(in, t)); };
  const Tensors expected =
      results_and_gradients(on_cpu, leaves(in.tensors(), at::kFloat, at::kCPU, in.parameters()));
  const Tensors got = results_and_gradients(
      on_gpu(in, as_it_is), leaves(in.tensors(), at::kFloat, at::kCPU, in.parameters()));
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("result or gradient " << i);
    check_close(got[i], expected[i], 1e-4);
  }
}

TEST_CASE("Slices of a projection, aligned or not, scan as contiguous tensors do on a GPU") {
  VIM_NEEDS_GPU();
  at::manual_seed(fresh_seed());
  const int64_t channels = GENERATE(32, 33);
  const ScanInputs in = random_inputs({3, 37, channels, 16});
  const int64_t shift = GENERATE(1, 2);
  const auto sliced = [&](const at::Tensor& t) {
    const at::Tensor other = at::full_like(t.narrow(-1, 0, shift), 7);
    return at::cat({other, t, other}, -1).narrow(-1, shift, t.size(-1));
  };
  const auto transposed = [](const at::Tensor& t) {
    return t.transpose(0, -1).contiguous().transpose(0, -1);
  };
  const Tensors plain = results_and_gradients(
      on_gpu(in, as_it_is), leaves(in.tensors(), at::kFloat, at::kCPU, in.parameters()));
  for (const auto& arrange :
       std::vector<std::function<at::Tensor(const at::Tensor&)>>{sliced, transposed}) {
    const Tensors got = results_and_gradients(
        on_gpu(in, arrange), leaves(in.tensors(), at::kFloat, at::kCPU, in.parameters()));
    for (size_t i = 0; i < got.size(); ++i) check_close(got[i], plain[i], 1e-6);
  }
}

TEST_CASE("A GPU gives the same bits twice, and recording a gradient does not change them") {
  VIM_NEEDS_GPU();
  at::manual_seed(fresh_seed());
  const int64_t batch = GENERATE(1, 300);
  const ScanInputs in = random_inputs({batch, 67, 384, 16});
  const Function call = on_gpu(in, as_it_is);
  for (const Target& precision : kOnGpu) {
    const Tensors given = leaves(in.tensors(), precision.dtype, at::kCPU, in.parameters());
    const Tensors first = results_and_gradients(call, given);
    check_same_bits(results_and_gradients(call, given), first);
    const c10::NoGradGuard no_grad;
    CHECK(at::equal(call(given)[0], first[0]));
  }
}

TEST_CASE("Parameters may be float beside narrow inputs, and their gradients are float") {
  VIM_NEEDS_GPU();
  at::manual_seed(fresh_seed());
  const ScanInputs in = random_inputs({2, 50, 40, 16});
  Tensors given = leaves(in.tensors(), at::kBFloat16);
  for (size_t i : {2, 5, 7}) given[i] = in.tensors()[i].to(at::kFloat).requires_grad_(true);
  const Tensors got = results_and_gradients(on_gpu(in, as_it_is), given);
  for (size_t i = 0; i < given.size(); ++i) {
    CHECK(got[1 + i].scalar_type() == given[i].scalar_type());
  }
}

TEST_CASE("Nothing in gives nothing out on a GPU, and gradients of zero") {
  VIM_NEEDS_GPU();
  const auto [batch, length, channels] =
      GENERATE(std::tuple(0, 7, 33), std::tuple(3, 0, 33), std::tuple(3, 7, 0));
  const ScanInputs in = random_inputs({batch, length, channels, 16});
  const Tensors all = results_and_gradients(
      on_gpu(in, as_it_is), leaves(in.tensors(), at::kFloat, at::kCPU, in.parameters()));
  for (size_t i = 1; i < all.size(); ++i) CHECK(all[i].count_nonzero().item<int64_t>() == 0);
}
