// Our model against the official code: logits, features, every gradient.
#include <ATen/ATen.h>

#include "nn/official.h"
#include "support/catch.h"
#include "support/support.h"

using vim::test::OfficialModel;
using vim::test::read_official;

namespace {

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach() - b).abs().max().item<double>();
}

at::Tensor smoothed_loss(const at::Tensor& logits, const at::Tensor& target) {
  return at::cross_entropy_loss(logits, target, {}, at::Reduction::Mean, -100, 0.1);
}

}  // namespace

TEST_CASE("Features, logits and loss are the official ones") {
  const std::string name =
      GENERATE("base", "head_cls", "double_cls", "no_cls_mean", "no_cls_last", "unidirectional",
               "bimamba_v1", "layer_pairs", "no_divide", "overlap_stride", "rope");
  CAPTURE(name);
  if (!std::filesystem::exists(vim::test::fixture(name + ".safetensors"))) VIM_SKIP("no fixtures");
  const OfficialModel official = read_official(name);
  const auto model = official.build();

  const at::Tensor features = model->features(official["input"]);
  const at::Tensor logits = model->classify(features);
  CHECK(largest_difference(features, official["features"]) < 1e-5);
  CHECK(largest_difference(logits, official["logits"]) < 1e-5);
  CHECK(std::abs(smoothed_loss(logits, official["target"]).item<double>() -
                 official["loss"].item<double>()) < 1e-4);
}

TEST_CASE("Every gradient is the official one") {
  const std::string name =
      GENERATE("base", "unidirectional", "bimamba_v1", "layer_pairs", "overlap_stride", "rope");
  CAPTURE(name);
  if (!std::filesystem::exists(vim::test::fixture(name + ".safetensors"))) VIM_SKIP("no fixtures");
  const OfficialModel official = read_official(name);
  const auto model = official.build();
  const at::Tensor input = official["input"].clone().requires_grad_();
  smoothed_loss(model->forward(input), official["target"]).backward();

  vim::nn::Weights expected = official.with_prefix("grad/");
  vim::nn::Weights actual;
  for (const auto& entry : model->named_parameters())
    actual.emplace(entry.key(), entry.value().grad());
  if (official.file.tensors.contains("grad_input")) {
    expected.emplace("input", official["grad_input"]);
    actual.emplace("input", input.grad());
  }
  REQUIRE(!expected.empty());
  for (const auto& [parameter, gradient] : expected) {
    CAPTURE(parameter);
    REQUIRE(actual.at(parameter).defined());
    CHECK(largest_difference(actual.at(parameter), gradient) <
          1e-4 * gradient.abs().max().item<double>());
  }
}

TEST_CASE("The vision transformer's logits are timm's, with fused and with plain attention") {
  if (!std::filesystem::exists(vim::test::fixture("deit.safetensors"))) VIM_SKIP("no fixtures");
  const auto file = vim::io::read_safetensors(vim::test::fixture("deit.safetensors"));
  vim::nn::ModelConfig config;
  config.name = "vit";
  config.image_size = {32, 32};
  config.patch_size = 8;
  config.embed_dim = 64;
  config.depth = 2;
  config.num_classes = 10;
  config.vit.heads = 2;
  config.vit.attention = GENERATE(vim::nn::Attention::kFused, vim::nn::Attention::kPlain);
  const auto model = vim::nn::make_classifier(config);
  CHECK(vim::nn::count_parameters(*model) == 114250);
  vim::nn::Weights weights;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with("param/")) weights.emplace(name.substr(6), tensor);
  }
  vim::nn::load_weights(*model, weights, "fixture");
  model->eval();
  CHECK(largest_difference(model->forward(file.tensors.at("input")), file.tensors.at("logits")) <
        1e-5);
}
