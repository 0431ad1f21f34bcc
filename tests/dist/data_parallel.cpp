// Gradients of several ranks against autograd on the whole batch, over Gloo.
#include "vim/dist/data_parallel.h"

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include "dist/ranks.h"
#include "support/catch.h"
#include "vim/core/error.h"

namespace {

using vim::dist::DataParallel;
using vim::dist::ProcessGroup;
using vim::dist::Reducer;

constexpr Reducer kReducers[] = {Reducer::kC10d, Reducer::kFused};

// Two layers of more than a bucket each (1 MB first, 25 MB later), so that several are reduced.
struct Net : torch::nn::Module {
  Net() {
    at::manual_seed(7);
    a = register_parameter("a", at::randn({900, 700}) / 30);
    b = register_parameter("b", at::randn({700, 900}) / 30);
    spare = register_parameter("spare", at::ones({3}));
  }
  at::Tensor loss(const at::Tensor& x) const {
    return x.matmul(a).tanh().matmul(b).square().mean();
  }
  at::Tensor a, b, spare;
};

constexpr int64_t kBatch = 12;

at::Tensor whole_batch(int64_t step) {
  at::manual_seed(100 + step);
  return at::randn({kBatch, 900});
}

// What one process computes of the whole batch.
std::vector<at::Tensor> expected_gradients(int64_t step) {
  Net net;
  net.loss(whole_batch(step)).backward();
  return {net.a.grad(), net.b.grad()};
}

bool agrees(const Net& net, int64_t step, double tolerance) {
  const auto expected = expected_gradients(step);
  const auto error = [](const at::Tensor& x, const at::Tensor& y) {
    return ((x - y).norm() / y.norm()).item<double>();
  };
  const double worst = std::max(error(net.a.grad(), expected[0]), error(net.b.grad(), expected[1]));
  if (worst > tolerance) std::cerr << "step " << step << ": error " << worst << "\n";
  return worst <= tolerance;
}

bool trains_like_one(ProcessGroup& group, const vim::dist::DistConfig& config, int64_t parts,
                     double tolerance) {
  Net net;
  net.spare.set_requires_grad(false);
  DataParallel parallel(net, group, config);
  bool good = true;
  for (int64_t step = 0; step < 3; ++step) {  // the buckets are ordered anew after the first
    const auto shares = whole_batch(step).chunk(group.size() * parts);
    for (int64_t part = 0; part < parts; ++part) {
      const at::Tensor loss = net.loss(shares[part * group.size() + group.rank()]) / parts;
      if (part + 1 == parts) {
        parallel.backward(loss);
      } else {
        loss.backward();
      }
    }
    good = agrees(net, step, tolerance) && good;
    net.a.mutable_grad().reset();
    net.b.mutable_grad().reset();
  }
  return good;
}

}  // namespace

TEST_CASE("Gradients of 2, 3 and 4 ranks are those of one process with the whole batch") {
  for (const Reducer reducer : kReducers) {
    for (const int size : {2, 3, 4}) {
      CAPTURE(reducer, size);
      CHECK(vim::test::failed_ranks(size, [&](ProcessGroup& group) {
              return trains_like_one(group, {.reducer = reducer}, /*parts=*/1, 1e-5);
            }) == 0);
    }
  }
}

TEST_CASE("Gradients accumulate before they are reduced") {
  for (const Reducer reducer : kReducers) {
    CAPTURE(reducer);
    CHECK(vim::test::failed_ranks(2, [&](ProcessGroup& group) {
            return trains_like_one(group, {.reducer = reducer}, /*parts=*/3, 1e-5);
          }) == 0);
  }
}

TEST_CASE("As bfloat16 they agree to its eight bits, and not better") {
  const auto reducer = GENERATE(values({Reducer::kC10d, Reducer::kFused}));
  vim::dist::DistConfig config;
  config.bf16_gradients = true;
  config.reducer = reducer;
  const auto run = [&](double tolerance) {
    return vim::test::failed_ranks(2, [&](ProcessGroup& group) {
      return trains_like_one(group, config, /*parts=*/1, tolerance);
    });
  };
  CHECK(run(1e-2) == 0);
  CHECK(run(1e-5) == 2);
}

TEST_CASE("What travels is every gradient once, in several buckets, half of it as bfloat16") {
  const auto reducer = GENERATE(values({Reducer::kC10d, Reducer::kFused}));
  for (const bool bf16 : {false, true}) {
    CAPTURE(reducer, bf16);
    CHECK(vim::test::failed_ranks(2, [&](ProcessGroup& group) {
            Net net;
            net.spare.set_requires_grad(false);
            vim::dist::DistConfig config;
            config.bf16_gradients = bf16;
            config.reducer = reducer;
            DataParallel parallel(net, group, config);
            for (int64_t step = 0; step < 2; ++step) parallel.backward(net.loss(whole_batch(step)));
            const auto buckets = parallel.empty_buckets();
            int64_t bytes = 0;
            for (const at::Tensor& bucket : buckets) {
              bytes += static_cast<int64_t>(bucket.nbytes());
            }
            return buckets.size() == 2 && bytes == 2 * 900 * 700 * (bf16 ? 2 : 4);
          }) == 0);
  }
}

TEST_CASE("Buckets have the size that is asked for, and the gradients do not depend on it") {
  // Twelve parameters of 0.39 MB; a bucket takes them until it is as large as it should be.
  struct Wide : torch::nn::Module {
    Wide() {
      at::manual_seed(7);
      for (int i = 0; i < 12; ++i) {
        weights.push_back(register_parameter(std::to_string(i), at::randn({320, 320}) / 18));
      }
    }
    at::Tensor loss(const at::Tensor& x) const {
      at::Tensor y = x;
      for (const at::Tensor& weight : weights) y = y.matmul(weight).tanh();
      return y.square().mean();
    }
    std::vector<at::Tensor> weights;
  };
  at::manual_seed(11);
  const at::Tensor x = at::randn({kBatch, 320});
  Wide alone;
  alone.loss(x).backward();

  const auto reducer = GENERATE(values({Reducer::kC10d, Reducer::kFused}));
  using Row = std::pair<double, size_t>;
  const auto row = GENERATE(values({Row(0.1, 12), Row(1.0, 4), Row(25.0, 2)}));
  CAPTURE(reducer, row.first);
  CHECK(vim::test::failed_ranks(2, [&](ProcessGroup& group) {
          Wide net;
          DataParallel parallel(net, group, {.reducer = reducer, .bucket_megabytes = row.first});
          bool good = true;
          for (int step = 0; step < 3; ++step) {
            net.zero_grad();
            parallel.backward(net.loss(x.chunk(2)[group.rank()]));
            for (size_t i = 0; i < net.weights.size(); ++i) {
              good =
                  good && at::allclose(net.weights[i].grad(), alone.weights[i].grad(), 1e-4, 1e-7);
            }
          }
          return good && parallel.empty_buckets().size() == row.second;
        }) == 0);
}

TEST_CASE("A parameter outside of the loss is refused by name, or looked for") {
  const auto step = [](ProcessGroup& group, const vim::dist::DistConfig& config) {
    Net net;
    DataParallel parallel(net, group, config);
    for (int i = 0; i < 2; ++i) parallel.backward(net.loss(whole_batch(0)));
    return !net.spare.grad().defined();
  };
  CHECK(vim::test::failed_ranks(2, [&](ProcessGroup& group) {
          vim::dist::DistConfig config;
          config.find_unused_parameters = true;
          return step(group, config);
        }) == 0);
  for (const Reducer reducer : kReducers) {
    CAPTURE(reducer);
    CHECK(vim::test::failed_ranks(2, [&](ProcessGroup& group) {
            try {
              step(group, {.reducer = reducer});
            } catch (const vim::Error& refusal) {
              return std::string(refusal.what()).find("in the loss: spare;") != std::string::npos;
            }
            return false;
          }) == 0);
  }
}

TEST_CASE("A reducer that cannot find unused parameters is not asked to") {
  CHECK(
      vim::test::failed_ranks(2, [&](ProcessGroup& group) {
        Net net;
        CHECK_THROWS_AS(
            DataParallel(net, group, {.find_unused_parameters = true, .reducer = Reducer::kFused}),
            vim::UsageError);
        return true;
      }) == 0);
}
