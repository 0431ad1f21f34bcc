#include "ops/compare.h"
#include "ops/oracle.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/ops/ops.h"

using namespace vim::test;

namespace {

struct Case {
  int64_t batch, length, channels, taps;
  bool bias = true, silu = true, reverse = false;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "batch " << c.batch << ", length " << c.length << ", channels " << c.channels
             << ", taps " << c.taps << ", bias " << c.bias << ", silu " << c.silu << ", reverse "
             << c.reverse;
}

Tensors random_inputs(const Case& c) {
  Tensors in = {at::randn({c.batch, c.length, c.channels}, at::kDouble),
                at::randn({c.channels, c.taps}, at::kDouble)};
  if (c.bias) in.push_back(at::randn({c.channels}, at::kDouble));
  return in;
}

Tensors conv(const Case& c, const Tensors& t) {
  return {vim::ops::causal_conv1d(t[0], t[1], c.bias ? t[2] : at::Tensor(), c.silu, c.reverse)};
}

Tensors oracle(const Case& c, const Tensors& t) {
  return {conv_oracle(t[0], t[1], c.bias ? t[2] : at::Tensor(), c.silu, c.reverse)};
}

}  // namespace

TEST_CASE("The convolution and its gradients are conv1d's, for every shape and option") {
  at::manual_seed(fresh_seed());
  const Case c = GENERATE(Case{1, 1, 1, 1},                      //
                          Case{1, 1, 7, 4},                      //
                          Case{5, 2, 7, 4},                      //
                          Case{5, 3, 33, 4},                     //
                          Case{2, 32, 33, 4},                    //
                          Case{2, 33, 33, 4},                    //
                          Case{2, 197, 384, 4},                  //
                          Case{1, 1025, 20, 2},                  //
                          Case{2, 50, 20, 1},                    //
                          Case{2, 50, 20, 4, false},             //
                          Case{2, 50, 20, 4, true, false},       //
                          Case{2, 50, 20, 4, true, true, true},  //
                          Case{3, 197, 33, 3, false, false, true});
  CAPTURE(c);
  check_against_oracle([&](const Tensors& t) { return conv(c, t); },
                       [&](const Tensors& t) { return oracle(c, t); }, random_inputs(c), {1, 2});
}

TEST_CASE("On the CPU the taps may be many, on a GPU they are four at most") {
  at::manual_seed(fresh_seed());
  const Case c{2, 70, 20, 41};
  const Tensors in = leaves(random_inputs(c), at::kDouble);
  check_close(conv(c, in)[0], oracle(c, in)[0], 1e-12);
  if (!at::hasCUDA()) return;
  CHECK_THROWS_WITH(conv(c, leaves(in, at::kFloat, at::kCUDA)), Catch::Contains("4 taps, got 41"));
}

TEST_CASE("An empty batch or sequence is convolved to an empty one") {
  const auto [batch, length] = GENERATE(std::pair(0, 7), std::pair(3, 0));
  const Case c{batch, length, 33, 4};
  const Tensors all = results_and_gradients([&](const Tensors& t) { return conv(c, t); },
                                            leaves(random_inputs(c), at::kFloat));
  CHECK(all[0].sizes() == at::IntArrayRef({batch, length, 33}));
  CHECK(all[2].count_nonzero().item<int64_t>() == 0);
  CHECK(all[3].count_nonzero().item<int64_t>() == 0);
}

TEST_CASE("Half of a projection and a transposed tensor are convolved like contiguous ones") {
  at::manual_seed(fresh_seed());
  const Case c{3, 37, 33, 4};
  const Tensors in = random_inputs(c);
  const auto half = [&](Tensors t) {
    t[0] = at::cat({t[0] + 1, t[0]}, -1).chunk(2, -1)[1];
    return conv(c, t);
  };
  const auto transposed = [&](Tensors t) {
    t[0] = t[0].transpose(1, 2).contiguous().transpose(1, 2);
    t[1] = t[1].t().contiguous().t();
    return conv(c, t);
  };
  for (const Target& target : targets()) {
    const auto run = [&](const Function& function) {
      return results_and_gradients(function, leaves(in, target.dtype, target.device, {1, 2}));
    };
    const Tensors plain = run([&](const Tensors& t) { return conv(c, t); });
    check_same_bits(plain, run(half));
    check_same_bits(plain, run(transposed));
  }
}

TEST_CASE("A reversed convolution is flip, convolution, flip, to the bit") {
  at::manual_seed(fresh_seed());
  const Case c{3, 45, 33, 4}, reversed{3, 45, 33, 4, true, true, true};
  const Tensors in = random_inputs(c);
  const auto directly = [&](const Tensors& t) { return conv(reversed, t); };
  const auto by_flips = [&](Tensors t) {
    t[0] = t[0].flip(1);
    return Tensors{conv(c, t)[0].flip(1)};
  };
  for (const Target& target : targets()) {
    const auto run = [&](const Function& function) {
      return results_and_gradients(function, leaves(in, target.dtype, target.device, {1, 2}));
    };
    check_same_bits(run(directly), run(by_flips));
  }
}

TEST_CASE("The gradients of the convolution are its slopes") {
  at::manual_seed(fresh_seed());
  const Case c{2, 9, 5, 4};
  check_gradients([&](const Tensors& t) { return conv(c, t); }, random_inputs(c));
}
