// Official checkpoints into our model, and models of other sizes.
#include "vim/nn/import.h"

#include <ATen/ATen.h>

#include "nn/official.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/io/safetensors.h"

using namespace vim::nn;
using vim::test::fixture;
using vim::test::OfficialModel;
using vim::test::read_official;

namespace {

ModelConfig small_model() {
  ModelConfig config;
  config.image_size = {16, 16};
  config.patch_size = 4;
  config.embed_dim = 8;
  config.depth = 1;
  config.num_classes = 3;
  return config;
}

Weights copy_of(const Classifier& model) {
  Weights weights;
  for (const auto& [name, tensor] : weights_of(model)) weights.emplace(name, tensor.clone());
  return weights;
}

}  // namespace

TEST_CASE("Official checkpoints give the official logits, whatever their format and prefixes") {
  if (!std::filesystem::exists(fixture("checkpoints/official.pth"))) VIM_SKIP("no fixtures");
  struct Case {
    std::string file;
    double tolerance;
  };
  const auto [file, tolerance] =
      GENERATE(Case{"official.pth", 1e-5}, Case{"bare_state_dict.pth", 1e-5},
               Case{"model_only_legacy.pth", 1e-5}, Case{"runs_code.pth", 1e-5},
               Case{"module_prefix_half.pth", 0.02});
  CAPTURE(file);
  const OfficialModel official = read_official("base");
  const auto model = make_classifier(official.config);
  const auto weights =
      find_weights(vim::io::read_tensors(fixture("checkpoints") / file), /*averaged=*/false);
  const ImportReport report = import_weights(*model, official.config, weights, file);
  CHECK(report.matched == official.with_prefix("param/").size());
  CHECK(report.complete());
  const at::NoGradGuard no_grad;
  CHECK((model->forward(official["input"]) - official["logits"]).abs().max().item<double>() <
        tolerance);
}

TEST_CASE("The average of an official checkpoint is found, and its absence is seen") {
  if (!std::filesystem::exists(fixture("checkpoints/official.pth"))) VIM_SKIP("no fixtures");
  const auto file = vim::io::read_tensors(fixture("checkpoints/official.pth"));
  const Weights model = find_weights(file, false), average = find_weights(file, true);
  REQUIRE(average.size() == model.size());
  CHECK(average.at("head.bias").equal(model.at("head.bias") * 1.5));
  CHECK(find_weights({.tensors = {{"head.bias", at::zeros({1})}}, .metadata = {}}, true).empty());
}

TEST_CASE("Position embeddings are resized as by the official code, or class-aware") {
  if (!std::filesystem::exists(fixture("data/pos_embed.safetensors"))) VIM_SKIP("no fixtures");
  const auto file = vim::io::read_safetensors(fixture("data/pos_embed.safetensors"));
  const auto tensor = [&](const std::string& name) {
    return file.tensors.at("square4_middle/" + name);
  };
  ModelConfig config = small_model();
  const auto check = [&](int64_t rows, int64_t columns, const std::string& expected) {
    CAPTURE(expected);
    config.image_size = {4 * rows, 4 * columns};
    const at::Tensor resized = resize_position_embedding(tensor("input"), config);
    REQUIRE(resized.sizes() == tensor(expected).sizes());
    CHECK((resized - tensor(expected)).abs().max().item<double>() < 1e-5);
  };
  check(3, 7, "class_aware_to_3x7");
  check(4, 4, "class_aware_to_4x4");
  check(6, 6, "class_aware_to_6x6");
  config.pos_interp = PositionInterpolation::kOfficial;
  check(6, 6, "official_to_6x6");
}

TEST_CASE("Resizing to the same grid changes nothing, wherever the class tokens are") {
  ModelConfig config = small_model();
  config.class_token = GENERATE(ClassToken::kNone, ClassToken::kHead, ClassToken::kMiddle,
                                ClassToken::kDouble, ClassToken::kRandom);
  const at::Tensor embedding = at::randn({1, config.tokens(), 8});
  CHECK(at::allclose(resize_position_embedding(embedding, config), embedding));
}

TEST_CASE("Other classes get a new head, another grid a resized embedding, and the rest is taken") {
  const ModelConfig before = small_model();
  ModelConfig after = before;
  after.num_classes = 5;
  after.image_size = {24, 16};
  const auto source = make_classifier(before), model = make_classifier(after);
  const at::Tensor head = model->named_parameters()["head.weight"].clone();
  const ImportReport report = import_weights(*model, after, copy_of(*source), "x.pth");
  CHECK(report.replaced == std::vector<std::string>{"head.bias", "head.weight"});
  CHECK(report.reshaped == std::vector<std::string>{"pos_embed [1, 17, 8] to [1, 25, 8]"});
  CHECK(report.complete());
  CHECK(model->named_parameters()["head.weight"].equal(head));
  CHECK(model->named_parameters()["layers.0.mixer.D"].equal(
      source->named_parameters()["layers.0.mixer.D"]));
}

TEST_CASE("A part of the weights is taken only where that is allowed, and never a wrong shape") {
  ModelConfig config = small_model();
  const auto model = make_classifier(config);
  Weights weights = copy_of(*model);
  for (auto& [name, tensor] : weights) tensor.add_(1);
  const Weights before = copy_of(*model);
  weights.erase("norm_f.weight");
  weights.emplace("extra", at::zeros({1}));
  CHECK_THROWS_WITH(import_weights(*model, config, weights, "x.pth"),
                    "x.pth: its weights do not fit this model (it lacks norm_f.weight; the model "
                    "has no extra); change the model section, or set model.init_partial: true to "
                    "take what fits");
  for (const auto& [name, tensor] : weights_of(*model)) CHECK(tensor.equal(before.at(name)));

  config.init_partial = true;
  const ImportReport report = import_weights(*model, config, weights, "x.pth");
  CHECK(report.missing == std::vector<std::string>{"norm_f.weight"});
  CHECK(report.unexpected == std::vector<std::string>{"extra"});
  CHECK(model->named_parameters()["head.bias"].equal(weights.at("head.bias")));

  weights["head.weight"] = at::zeros({3, 9});
  CHECK_THROWS_WITH(import_weights(*model, config, weights, "x.pth"),
                    Catch::Contains("shapes differ: head.weight [3, 9] to [3, 8]"));
  CHECK_THROWS_AS(import_weights(*model, config, {{"foreign", at::zeros({1})}}, "x.pth"),
                  vim::Error);
}
