// What holds for every operator: repeatable bits, sentences for mistakes, shapes without data, one
// derivative.
#include <ATen/Parallel.h>

#include "ops/compare.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/ops/ops.h"

using namespace vim::test;
using Catch::Matchers::Contains;

namespace {

struct Operator {
  const char* name;
  Tensors inputs;
  Function call;
};

std::vector<Operator> operators(int64_t batch, int64_t length) {
  const auto random = [](std::initializer_list<int64_t> sizes) { return at::randn(sizes); };
  const int64_t e = 72, n = 16;
  return {
      {"selective_scan",
       {random({batch, length, e}), random({batch, length, e}), -random({e, n}).abs(),
        random({batch, length, n}), random({batch, length, n}), random({e}),
        random({batch, length, e}), random({e})},
       [](const Tensors& t) {
         return Tensors{
             vim::ops::selective_scan(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], true, false)};
       }},
      {"causal_conv1d",
       {random({batch, length, e}), random({e, 4}), random({e})},
       [](const Tensors& t) {
         return Tensors{vim::ops::causal_conv1d(t[0], t[1], t[2], true, false)};
       }},
      {"add_rms_norm",
       {random({batch, length, e}), random({batch, length, e}), random({e})},
       [](const Tensors& t) {
         const auto [y, sum] = vim::ops::add_rms_norm(t[0], t[1], t[2], 1e-5);
         return Tensors{y, sum};
       }},
      {"rms_norm",
       {random({batch, length, e}), random({e})},
       [](const Tensors& t) { return Tensors{vim::ops::rms_norm(t[0], t[1], 1e-5)}; }},
  };
}

class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace

TEST_CASE("The same inputs give the same bits, twice and on any number of threads") {
  at::manual_seed(fresh_seed());
  const int64_t batch = GENERATE(1, 3, 40);
  for (const Operator& op : operators(batch, 67)) {
    CAPTURE(op.name, batch);
    if (at::hasCUDA()) {
      const auto run = [&] {
        return results_and_gradients(op.call, leaves(op.inputs, at::kFloat, at::kCUDA));
      };
      const Tensors first = run();
      for (int repetition = 0; repetition < 3; ++repetition) check_same_bits(run(), first);
    }
    const Tensors in = leaves(op.inputs, at::kFloat);
    const Tensors first = results_and_gradients(op.call, in);
    for (int threads : {1, 2, 2, 3}) {
      const Threads use(threads);
      check_same_bits(results_and_gradients(op.call, in), first);
    }
  }
}

TEST_CASE("Tensors without data have their shapes computed, and those of the gradients") {
  for (const Operator& op : operators(2, 9)) {
    CAPTURE(op.name);
    Tensors real = leaves(op.inputs, at::kFloat), meta;
    for (const at::Tensor& t : real) {
      meta.push_back(at::empty(t.sizes(), t.options().device(at::kMeta)).requires_grad_(true));
    }
    const Tensors results = op.call(meta), expected = op.call(real);
    Tensors grads;
    for (size_t i = 0; i < results.size(); ++i) {
      CHECK(results[i].is_meta());
      CHECK(results[i].sizes() == expected[i].sizes());
      grads.push_back(at::empty_like(results[i]));
    }
    const Tensors gradients = torch::autograd::grad(results, meta, grads);
    for (size_t i = 0; i < meta.size(); ++i) CHECK(gradients[i].sizes() == meta[i].sizes());
  }
}

TEST_CASE("A second derivative is refused in words, and only when it is taken") {
  for (const Operator& op : operators(2, 9)) {
    CAPTURE(op.name);
    const Tensors in = leaves(op.inputs, at::kFloat);
    const at::Tensor loss = op.call(in)[0].sum();
    const Tensors grads =
        torch::autograd::grad({loss}, in, {}, std::nullopt, /*create_graph=*/true);
    CHECK_THROWS_WITH(grads[0].sum().backward(),
                      Contains("second derivatives are not implemented"));
  }
}

TEST_CASE("Arguments that do not fit are named, with what was expected") {
  const at::Tensor x = at::zeros({2, 5, 6}), A = at::zeros({6, 4}), B = at::zeros({2, 5, 4});
  const at::Tensor none;
  const auto scan = [&](const at::Tensor& u, const at::Tensor& delta, const at::Tensor& a,
                        const at::Tensor& b, const at::Tensor& c, const at::Tensor& D) {
    return vim::ops::selective_scan(u, delta, a, b, c, D, none, none, true, false);
  };
  CHECK_THROWS_WITH(scan(x[0], x, A, B, B, none),
                    Contains("selective_scan: u must be [batch, length, channels], got [5, 6]"));
  CHECK_THROWS_WITH(
      scan(x, x, A, B.slice(2, 1), B, none),
      Contains("selective_scan: B must be [batch, length, state] = [2, 5, 4], got [2, 5, 3]"));
  CHECK_THROWS_WITH(scan(x, x, A.t(), B, B, none),
                    Contains("A must be [channels, state] = [6, 6]"));
  CHECK_THROWS_WITH(scan(x, none, A, B, B, none), Contains("delta is undefined"));
  CHECK_THROWS_WITH(scan(x, x, A, B, B, at::zeros({5})),
                    Contains("D must be [channels] = [6], got [5]"));
  CHECK_THROWS_WITH(scan(x, x.to(at::kDouble), A, B, B, none),
                    Contains("delta must be Float beside a first argument of Float, got Double"));
  CHECK_THROWS_WITH(scan(x, x.to(at::kMeta), A, B, B, none),
                    Contains("delta must be on cpu as the first argument, got meta"));
  CHECK_THROWS_WITH(vim::ops::causal_conv1d(x, at::zeros({6, 0}), none, true, false),
                    Contains("causal_conv1d: weight must be [channels, taps], got [6, 0]"));
  CHECK_THROWS_WITH(vim::ops::causal_conv1d(x, at::zeros({5, 4}), none, true, false),
                    Contains("weight must be [channels, taps] = [6, 4], got [5, 4]"));
  CHECK_THROWS_WITH(vim::ops::rms_norm(x, at::zeros({5}), 1e-5),
                    Contains("rms_norm: weight must be [channels] = [6], got [5]"));
  CHECK_THROWS_WITH(vim::ops::add_rms_norm(x, x[0], at::zeros({6}), 1e-5),
                    Contains("residual must be the shape of x = [2, 5, 6], got [5, 6]"));
}
