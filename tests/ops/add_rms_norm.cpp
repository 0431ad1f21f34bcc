#include "ops/compare.h"
#include "ops/oracle.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/ops/ops.h"

using namespace vim::test;

namespace {

constexpr double kEps = 1e-5;

Tensors add_norm(const Tensors& t) {
  const auto [y, sum] = vim::ops::add_rms_norm(t[0], t[1], t[2], kEps);
  return {y, sum};
}

Tensors add_norm_oracle(const Tensors& t) {
  const at::Tensor sum = t[0] + t[1];
  return {norm_oracle(sum, t[2], kEps), sum};
}

Tensors random_inputs(at::IntArrayRef shape) {
  return {at::randn(shape, at::kDouble), at::randn(shape, at::kDouble),
          at::randn({shape.back()}, at::kDouble)};
}

}  // namespace

TEST_CASE("The norm of a sum, the sum, and all gradients are those of the formula") {
  at::manual_seed(fresh_seed());
  const auto shape = GENERATE(std::vector<int64_t>{1}, std::vector<int64_t>{1, 1, 1},
                              std::vector<int64_t>{2, 5, 7}, std::vector<int64_t>{3, 129, 33},
                              std::vector<int64_t>{2, 197, 192}, std::vector<int64_t>{2, 3, 4, 50},
                              std::vector<int64_t>{7, 384}, std::vector<int64_t>{7, 1537},
                              std::vector<int64_t>{9, 2048});
  CAPTURE(shape);
  const Tensors in = random_inputs(shape);
  check_against_oracle(add_norm, add_norm_oracle, in, {1, 2});
}

TEST_CASE("Without a residual the sum is the input") {
  at::manual_seed(fresh_seed());
  const Tensors in = random_inputs({2, 33, 40});
  const auto norm = [](const Tensors& t) {
    const auto [y, sum] = vim::ops::add_rms_norm(t[0], std::nullopt, t[1], kEps);
    return Tensors{y, sum};
  };
  const auto oracle = [](const Tensors& t) {
    return Tensors{norm_oracle(t[0], t[1], kEps), t[0] * 1};
  };
  check_against_oracle(norm, oracle, {in[0], in[2]}, {1});
  const auto alone = [](const Tensors& t) { return Tensors{vim::ops::rms_norm(t[0], t[1], kEps)}; };
  check_against_oracle(alone, [&](const Tensors& t) { return Tensors{oracle(t)[0]}; },
                       {in[0], in[2]}, {1});
}

TEST_CASE("A loss may use only one of the norm's two results") {
  at::manual_seed(fresh_seed());
  const Tensors in = random_inputs({2, 5, 40});
  const size_t used = GENERATE(0, 1);
  const auto only = [&](const Tensors& t, const Function& function) {
    const at::Tensor result = function(t)[used];
    const at::Tensor grad = at::ones_like(result);
    return torch::autograd::grad({result}, {t[0], t[1]}, {grad});
  };
  const Tensors got = only(leaves(in, at::kDouble), add_norm);
  const Tensors expected = only(leaves(in, at::kDouble), add_norm_oracle);
  check_close(got[0], expected[0], 1e-12);
  check_close(got[1], expected[1], 1e-12);
}

TEST_CASE("Rows of zeros and of huge numbers are normalised") {
  const at::Tensor x = at::stack({at::zeros({40}), at::full({40}, 1e15), at::full({40}, 1e-20)});
  const at::Tensor y = vim::ops::rms_norm(x, at::ones({40}), kEps);
  CHECK(y[0].abs().max().item<float>() == 0);
  CHECK(y[1].sub(1).abs().max().item<float>() < 1e-6);
  CHECK(at::isfinite(y).all().item<bool>());
}

TEST_CASE("The norm accepts strided tensors and empty ones") {
  at::manual_seed(fresh_seed());
  const Tensors in = leaves(random_inputs({3, 33, 40}), at::kFloat);
  const at::Tensor strided = at::cat({in[0], in[1]}, -1).chunk(2, -1)[1];
  const at::Tensor transposed = in[0].transpose(1, 2).contiguous().transpose(1, 2);
  check_same_bits(add_norm({transposed, strided, in[2]}), add_norm(in));
  CHECK(vim::ops::rms_norm(at::zeros({0, 5, 40}), in[2], kEps).sizes() ==
        at::IntArrayRef({0, 5, 40}));
}

TEST_CASE("The gradients of the norm are its slopes") {
  at::manual_seed(fresh_seed());
  check_gradients(add_norm, random_inputs({2, 3, 7}));
}
