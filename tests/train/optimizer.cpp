// Which parameters are trained, and how fast.
#include "train/optimizer.h"

#include <ATen/ATen.h>

#include "support/catch.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/nn/model.h"

using namespace vim::train;

namespace {

std::shared_ptr<vim::nn::Classifier> small_model() {
  vim::nn::ModelConfig config;
  config.image_size = {16, 16};
  config.patch_size = 8;
  config.embed_dim = 16;
  config.depth = 3;
  return make_classifier(config);
}

// The first step of AdamW without decay moves every element by the learning rate.
double moved(const at::Tensor& before, const at::Tensor& after) {
  return (after - before).abs().max().item<double>();
}

void step(torch::nn::Module& model, const OptimConfig& config, double lr) {
  for (const auto& parameter : model.parameters()) {
    if (parameter.requires_grad()) parameter.mutable_grad() = at::ones_like(parameter);
  }
  AdamW optimizer(model, config);
  optimizer.set_lr(lr);
  optimizer.step(optimizer.gradient_norm());
}

}  // namespace

TEST_CASE("Layers stand in the order in which an image passes them") {
  CHECK(layer_of("patch_embed.proj.weight", 24) == 0);
  CHECK(layer_of("pos_embed", 24) == 0);
  CHECK(layer_of("cls_token_head", 24) == 0);
  CHECK(layer_of("layers.0.norm.weight", 24) == 1);
  CHECK(layer_of("backbone.layers.23.mixer.D", 24) == 24);
  CHECK(layer_of("blocks.3.attn.qkv.bias", 12) == 4);
  CHECK(layer_of("norm_f.weight", 24) == 25);
  CHECK(layer_of("head.bias", 24) == 25);
  CHECK(layer_of("decode_head.players.weight", 24) == 25);
}

TEST_CASE("With layer decay each block learns slower than the next, by that factor") {
  const auto model = small_model();
  const auto parameters = model->named_parameters();
  std::map<std::string, at::Tensor> before;
  for (const auto& entry : parameters) before[entry.key()] = entry.value().detach().clone();
  OptimConfig config;
  config.weight_decay = 0;
  config.layer_decay = 0.5;
  step(*model, config, 0.1);
  const std::map<std::string, double> expected = {
      {"head.bias", 0.1},           {"norm_f.weight", 0.1}, {"layers.2.mixer.D", 0.05},
      {"layers.0.mixer.D", 0.0125}, {"pos_embed", 0.00625}, {"patch_embed.proj.bias", 0.00625}};
  for (const auto& [name, distance] : expected) {
    CAPTURE(name);
    CHECK(moved(before.at(name), parameters[name]) == Approx(distance).epsilon(1e-3));
  }
}

TEST_CASE("Frozen parameters keep their values; a pattern that matches nothing is a mistake") {
  const auto model = small_model();
  const auto parameters = model->named_parameters();
  freeze(*model, {"patch_embed.*", "layers.[01].*"});
  const at::Tensor frozen = parameters["layers.1.mixer.D"].detach().clone(),
                   trained = parameters["layers.2.mixer.D"].detach().clone();
  step(*model, {}, 0.1);
  CHECK(parameters["layers.1.mixer.D"].equal(frozen));
  CHECK_FALSE(parameters["layers.2.mixer.D"].equal(trained));
  CHECK_THROWS_WITH(freeze(*model, {"blocks.*"}),
                    Catch::Contains("no parameter is called blocks.*"));
  CHECK_THROWS_WITH(freeze(*model, {"*"}), Catch::Contains("nothing to train"));
}
