// The fused mixer of a GPU against the one that a CPU takes, and the model in reduced precision.
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <torch/nn/module.h>

#include "support/catch.h"
#include "support/support.h"
#include "vim/nn/model.h"

namespace {

using vim::nn::ModelConfig;

struct Result {
  at::Tensor logits;
  std::map<std::string, at::Tensor> gradients;  // of parameters and "input"
};

at::Tensor logits_of(vim::nn::Classifier& model, const at::Tensor& input, at::ScalarType compute) {
  at::autocast::set_autocast_enabled(at::kCUDA, compute != at::kFloat);
  at::autocast::set_autocast_dtype(at::kCUDA, compute);
  at::Tensor logits = model.forward(input);
  at::autocast::set_autocast_enabled(at::kCUDA, false);
  at::autocast::clear_cache();
  return logits;
}

Result run(vim::nn::Classifier& model, at::Device device, const at::Tensor& images,
           at::ScalarType compute) {
  at::globalContext().setAllowTF32CuDNN(false);
  model.to(device);
  model.zero_grad();
  const at::Tensor input = images.detach().clone().to(device).requires_grad_();
  const at::Tensor logits = logits_of(model, input, compute);
  const at::Tensor weight = at::sin(at::arange(logits.numel(), at::kFloat)).view(logits.sizes());
  (logits * weight.to(device)).sum().backward();
  Result result{logits.detach().cpu(), {{"input", input.grad().cpu()}}};
  for (const auto& entry : model.named_parameters()) {
    result.gradients.emplace(entry.key(), entry.value().grad().cpu());
  }
  return result;
}

double relative_error(const at::Tensor& got, const at::Tensor& expected) {
  return ((got - expected).norm() / (expected.norm() + 1e-20)).item<double>();
}

}  // namespace

TEST_CASE("A GPU computes the logits and gradients of the CPU, in every precision") {
  if (!at::hasCUDA()) VIM_SKIP("no GPU");
  at::manual_seed(vim::test::fresh_seed());
  const auto [compute, logits_bound, gradient_bound] =
      GENERATE(std::tuple(at::kFloat, 1e-5, 1e-4), std::tuple(at::kHalf, 5e-3, 3e-2),
               std::tuple(at::kBFloat16, 3e-2, 1e-1));
  const auto [dim, state, size] =
      GENERATE(std::tuple(64, 16, 32), std::tuple(40, 8, 48), std::tuple(20, 5, 16));
  const bool divide = GENERATE(true, false);
  CAPTURE(compute, dim, state, size, divide);
  ModelConfig config;
  config.image_size = {size, size};
  config.patch_size = 4;
  config.embed_dim = dim;
  config.state_dim = state;
  config.depth = 2;
  config.num_classes = 10;
  config.divide_out = divide;
  const auto model = vim::nn::make_classifier(config);
  const at::Tensor images = at::randn({3, 3, size, size});
  const Result expected = run(*model, at::kCPU, images, at::kFloat);
  const Result got = run(*model, at::kCUDA, images, compute);
  CHECK(relative_error(got.logits, expected.logits) < logits_bound);
  for (const auto& [name, gradient] : expected.gradients) {
    CAPTURE(name);
    CHECK(relative_error(got.gradients.at(name), gradient) < gradient_bound);
  }
}

// With 192 columns the scan then computes delta itself; else it reads it.
TEST_CASE("What keeps nothing has the same bits: inference, and training that computes it again") {
  if (!at::hasCUDA()) VIM_SKIP("no GPU");
  const uint64_t seed = vim::test::fresh_seed();
  const auto compute = GENERATE(at::kBFloat16, at::kHalf);
  ModelConfig config;
  config.embed_dim = GENERATE(192, 384);
  config.image_size = {112, 112};
  config.depth = 3;
  CAPTURE(compute, config.embed_dim);
  const at::Tensor images = at::randn({2, 3, 112, 112});
  std::vector<Result> results;
  for (const double share : {0.0, 0.5, 1.0}) {
    config.recompute = share > 0;
    config.recompute_share = share;
    at::manual_seed(seed);
    const auto model = vim::nn::make_classifier(config);
    results.push_back(run(*model, at::kCUDA, images, compute));
    const at::NoGradGuard no_grad;
    CHECK(at::equal(logits_of(*model, images.cuda(), compute).cpu(), results.back().logits));
  }
  for (const Result& result : results) {
    CHECK(at::equal(result.logits, results[0].logits));
    for (const auto& [name, gradient] : results[0].gradients) {
      CAPTURE(name);
      CHECK(at::equal(result.gradients.at(name), gradient));
    }
  }
}

TEST_CASE("A GPU gives the same bits twice") {
  if (!at::hasCUDA()) VIM_SKIP("no GPU");
  at::manual_seed(vim::test::fresh_seed());
  ModelConfig config;
  config.image_size = {64, 64};
  config.depth = 2;
  const auto model = vim::nn::make_classifier(config);
  const at::Tensor images = at::randn({8, 3, 64, 64});
  const Result first = run(*model, at::kCUDA, images, at::kBFloat16);
  const Result second = run(*model, at::kCUDA, images, at::kBFloat16);
  CHECK(at::equal(first.logits, second.logits));
  for (const auto& [name, gradient] : first.gradients) {
    CAPTURE(name);
    CHECK(at::equal(gradient, second.gradients.at(name)));
  }
}
