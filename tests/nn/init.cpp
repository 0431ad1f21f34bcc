#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/catch.h"
#include "support/support.h"
#include "vim/nn/model.h"

using namespace vim::nn;

TEST_CASE("The published models have their published numbers of parameters") {
  struct Row {
    int64_t embed_dim, stride, parameters;
  };
  const Row row = GENERATE(Row{192, 16, 7148008}, Row{192, 8, 7250344}, Row{384, 16, 25796584},
                           Row{384, 8, 26001256}, Row{768, 16, 97598440});
  ModelConfig config;
  config.embed_dim = row.embed_dim;
  config.stride = row.stride;
  CAPTURE(row.embed_dim, row.stride);
  CHECK(count_parameters(*make_classifier(config)) == row.parameters);
}

// Three official models give the range of each statistic; ours must lie near it. The tolerance is
// the spread that the statistic itself has at the tensor's size.
TEST_CASE("Vim-Ti is initialised with the official distributions") {
  const auto path = vim::test::fixture("vim_tiny_init.json");
  if (!std::filesystem::exists(path)) VIM_SKIP("no fixtures");
  std::ifstream file(path);
  const auto official = nlohmann::json::parse(file);
  at::manual_seed(vim::test::fresh_seed());
  ModelConfig config;
  config.quirks.zero_dt_proj_b_bias = true;
  const auto model = make_classifier(config);

  size_t compared = 0;
  for (const auto& entry : model->named_parameters()) {
    CAPTURE(entry.key());
    REQUIRE(official.contains(entry.key()));
    const auto& expected = official.at(entry.key());
    const at::Tensor values = entry.value().detach().to(at::kDouble);
    CHECK(values.sizes().vec() == expected.at("shape").get<std::vector<int64_t>>());
    const double std = expected.at("std").at(0), count = static_cast<double>(values.numel());
    CHECK(std::abs(values.mean().item<double>() - expected.at("mean").at(0).get<double>()) <=
          8 * std / std::sqrt(count) + 1e-7);
    CHECK(std::abs(values.std().item<double>() - std) <= 8 * std / std::sqrt(count) + 1e-7);
    ++compared;
  }
  CHECK(compared == official.size());
}

// With the timm that the official code pins, the cut lies far outside of the distribution.
TEST_CASE("With its quirk the patch embedding is 14 % wider") {
  at::manual_seed(vim::test::fresh_seed());
  ModelConfig config;
  config.depth = 1;
  config.quirks.lecun_absolute_trunc = true;
  const auto model = make_classifier(config);
  const at::Tensor weight = model->named_parameters()["patch_embed.proj.weight"].detach();
  CHECK(weight.std().item<double>() == Approx(0.0410).epsilon(0.02));
  CHECK(weight.abs().max().item<double>() > 0.1);
}

TEST_CASE("Multiply-adds of the published models") {
  ModelConfig
      config;  // by hand, from the shapes of section 2 of the specification: 24 blocks, 197 tokens
  const double per_token =
      192 * 768 + 384 * 192 + 2 * (384 * (4 + 44) + 12 * 384) + 2 * 9 * 384 * 16;
  CHECK(count_multiply_adds(config) == 196 * 768 * 192 + 24.0 * 197 * per_token + 192 * 1000);
}
