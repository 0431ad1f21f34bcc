#include <c10/core/GradMode.h>

#include "ops/compare.h"
#include "ops/oracle.h"
#include "ops/scan_cases.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/ops/ops.h"

using namespace vim::test;

namespace {

at::Tensor scan(const ScanInputs& in) {
  return vim::ops::selective_scan(in.u, in.delta, in.A, in.B, in.C, in.D, in.z, in.delta_bias,
                                  in.delta_softplus, in.reverse);
}

void check_against_recurrence(const ScanInputs& in) {
  check_against_oracle([&](const Tensors& t) { return Tensors{scan(with_tensors(in, t))}; },
                       [&](const Tensors& t) { return Tensors{scan_oracle(with_tensors(in, t))}; },
                       in.tensors(), in.parameters());
}

Tensors inputs_on(const Target& target, const ScanInputs& in) {
  return leaves(in.tensors(), target.dtype, target.device, in.parameters());
}

}  // namespace

TEST_CASE("The scan and its gradients are the recurrence's, for every shape and option") {
  at::manual_seed(fresh_seed());
  const ScanCase c = GENERATE(ScanCase{1, 1, 1, 1},                                    //
                              ScanCase{5, 2, 7, 3},                                    //
                              ScanCase{1, 16, 33, 16},                                 //
                              ScanCase{1, 17, 33, 16},                                 //
                              ScanCase{5, 31, 16, 4},                                  //
                              ScanCase{2, 40, 65, 64},                                 //
                              ScanCase{5, 197, 7, 16},                                 //
                              ScanCase{1, 197, 384, 16},                               //
                              ScanCase{1, 1025, 33, 3},                                //
                              ScanCase{20, 19, 40, 5},                                 //
                              ScanCase{2, 33, 20, 6, false, true, true},               //
                              ScanCase{2, 33, 20, 6, true, false, true},               //
                              ScanCase{2, 33, 20, 6, true, true, false},               //
                              ScanCase{2, 33, 20, 6, false, false, false},             //
                              ScanCase{2, 33, 20, 6, true, true, true, false},         //
                              ScanCase{2, 33, 20, 6, true, true, true, true, true},    //
                              ScanCase{3, 197, 20, 16, true, true, true, true, true},  //
                              ScanCase{2, 33, 20, 6, false, false, false, false, true});
  CAPTURE(c);
  check_against_recurrence(random_inputs(c));
}

TEST_CASE("Nothing in gives nothing out, and gradients of zero") {
  const auto [batch, length, channels] =
      GENERATE(std::tuple(0, 7, 33), std::tuple(3, 0, 33), std::tuple(3, 7, 0));
  ScanInputs in = random_inputs({batch, length, channels, 16});
  const Tensors at = leaves(in.tensors(), at::kFloat);
  const Tensors all = results_and_gradients(
      [&](const Tensors& t) { return Tensors{scan(with_tensors(in, t))}; }, at);
  CHECK(all[0].sizes() == in.u.sizes());
  for (size_t i = 1; i < all.size(); ++i) {
    CHECK(all[i].sizes() == at[i - 1].sizes());
    CHECK(all[i].count_nonzero().item<int64_t>() == 0);
  }
}

TEST_CASE("The scan holds at the extremes of its inputs") {
  at::manual_seed(fresh_seed());
  ScanInputs in = random_inputs({2, 49, 20, 16});
  SECTION("steps so long that nothing is remembered") {
    in.delta = in.delta.abs() * 1e4 + 25;
  }
  SECTION("steps around the threshold of the softplus") {
    in.delta = 20 + in.delta;
  }
  SECTION("steps so short that nothing is forgotten") {
    in.delta = in.delta - 30;
  }
  SECTION("a decay of almost one") {
    in.A = in.A * 1e-8;
  }
  SECTION("a decay of exactly one") {
    in.A = in.A * 0;
  }
  SECTION("a growing state") {
    in.A = in.A.abs() * 0.1;
  }
  SECTION("gates fully open and shut") {
    in.z = in.z * 1e3;
  }
  check_against_recurrence(in);
}

TEST_CASE("A slow decay keeps its precision over a thousand tokens") {
  at::manual_seed(fresh_seed());
  ScanInputs in = random_inputs({1, 1025, 16, 4});
  in.A = in.A * 1e-4;
  in.u = in.u.abs();  // so that errors add up rather than cancel
  in.B = in.B.abs();
  in.C = in.C.abs();
  check_against_recurrence(in);
}

TEST_CASE("A NaN reaches every later output of its channel, and on the CPU no other channel") {
  at::manual_seed(fresh_seed());
  ScanInputs in = random_inputs({1, 20, 40, 5});
  in.delta[0][7][3] = std::numeric_limits<double>::quiet_NaN();
  for (const Target& target : targets()) {
    const at::Tensor bad = at::isnan(scan(with_tensors(in, inputs_on(target, in))));
    if (target.device == at::kCPU) CHECK(bad.sum().item<int64_t>() == 13);
    CHECK(bad.select(2, 3).slice(1, 7).all().item<bool>());
  }
}

TEST_CASE("Reverse is flip, scan, flip, on the CPU to the bit") {
  at::manual_seed(fresh_seed());
  const int64_t length = GENERATE(1, 16, 37);
  const ScanInputs in = random_inputs({3, length, 33, 5});
  const auto directly = [&](const Tensors& t) {
    ScanInputs reversed = with_tensors(in, t);
    reversed.reverse = true;
    return Tensors{scan(reversed)};
  };
  const auto by_flips = [&](const Tensors& t) {
    ScanInputs flipped = with_tensors(in, t);
    for (at::Tensor* x : {&flipped.u, &flipped.delta, &flipped.B, &flipped.C, &flipped.z}) {
      *x = x->flip(1);
    }
    return Tensors{scan(flipped).flip(1)};
  };
  for (const Target& target : targets()) {
    const Tensors got = results_and_gradients(directly, inputs_on(target, in));
    const Tensors expected = results_and_gradients(by_flips, inputs_on(target, in));
    if (target.device == at::kCPU) {
      check_same_bits(got, expected);
      continue;
    }
    // The GPU's work is cut into pieces that begin at the first token in either direction.
    for (size_t i = 0; i < got.size(); ++i) check_close(got[i], expected[i], target.gradient);
  }
}

TEST_CASE("Slices of a projection and transposed tensors give the bits of contiguous ones") {
  at::manual_seed(fresh_seed());
  const ScanInputs in = random_inputs({3, 37, 33, 5});
  const auto scan_of = [&](const Tensors& t) { return Tensors{scan(with_tensors(in, t))}; };
  const auto sliced = [](Tensors t) {
    for (at::Tensor& x : t) {
      const at::Tensor other = at::full_like(x, 7);
      x = at::cat({other, x, other}, -1).narrow(-1, x.size(-1), x.size(-1));
    }
    return t;
  };
  const auto transposed = [](Tensors t) {
    for (at::Tensor& x : t) x = x.transpose(0, -1).contiguous().transpose(0, -1);
    return t;
  };
  for (const Target& target : targets()) {
    const auto run = [&](const Function& function) {
      return results_and_gradients(function, inputs_on(target, in));
    };
    const Tensors plain = run(scan_of);
    for (const Function& arrange : {Function(sliced), Function(transposed)}) {
      check_same_bits(plain, run([&](const Tensors& t) { return scan_of(arrange(t)); }));
    }
  }
}

TEST_CASE("The gradients of the scan are its slopes") {
  at::manual_seed(fresh_seed());
  const bool softplus = GENERATE(true, false);
  const ScanInputs in = random_inputs({2, 19, 9, 3, true, true, true, softplus});
  check_gradients([&](const Tensors& t) { return Tensors{scan(with_tensors(in, t))}; },
                  in.tensors());
}

TEST_CASE("Recording a gradient does not change the result") {
  at::manual_seed(fresh_seed());
  const ScanInputs in = random_inputs({2, 37, 33, 16});
  const Tensors at = leaves(in.tensors(), at::kFloat);
  const at::Tensor recorded = scan(with_tensors(in, at));
  const c10::NoGradGuard no_grad;
  CHECK(at::equal(recorded, scan(with_tensors(in, at))));
}
