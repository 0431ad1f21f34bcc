// Laws that hold for every variant of the model, and the mistakes that a configuration can hold.
#include <ATen/ATen.h>
#include <ATen/Context.h>

#include "support/catch.h"
#include "support/support.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/nn/model.h"
#include "vim/nn/weights.h"

using namespace vim::nn;

namespace {

ModelConfig small() {
  ModelConfig config;
  config.image_size = {24, 40};
  config.patch_size = 8;
  config.embed_dim = 32;
  config.depth = 2;
  config.num_classes = 5;
  return config;
}

template <class Values, class Use>
void for_all_variants(const Values& directions, const Use& use) {
  for (const Direction direction : directions) {
    for (const ClassToken token : {ClassToken::kNone, ClassToken::kHead, ClassToken::kMiddle,
                                   ClassToken::kDouble, ClassToken::kRandom}) {
      for (const Rotary rotary : {Rotary::kNone, Rotary::kInput, Rotary::kInputAndResidual}) {
        for (const Norm norm : {Norm::kRms, Norm::kLayer}) {
          ModelConfig config = small();
          config.direction = direction;
          config.class_token = token;
          config.rotary = rotary;
          config.norm = norm;
          CAPTURE(static_cast<int>(direction), static_cast<int>(token), static_cast<int>(rotary),
                  static_cast<int>(norm));
          use(config);
        }
      }
    }
  }
}

constexpr std::array kDirections = {Direction::kForward, Direction::kFlipAugment,
                                    Direction::kLayerPairs, Direction::kShared, Direction::kFull};

}  // namespace

TEST_CASE("Every variant gives scores for any aspect, and a gradient to every parameter") {
  at::manual_seed(vim::test::fresh_seed());
  for_all_variants(kDirections, [](const ModelConfig& config) {
    const auto model = make_classifier(config);
    const at::Tensor logits = model->forward(at::randn({3, 3, 24, 40}));
    CHECK(logits.sizes() == at::IntArrayRef({3, 5}));
    logits.square().sum().backward();
    // A class token at an end of the sequence has nothing before it in one of the directions.
    const bool at_an_end =
        config.class_token == ClassToken::kHead || config.class_token == ClassToken::kRandom;
    for (const auto& entry : model->named_parameters()) {
      CAPTURE(entry.key());
      REQUIRE(entry.value().grad().defined());
      CHECK((at_an_end || entry.value().grad().abs().sum().item<double>() > 0));
    }
  });
}

TEST_CASE(
    "In evaluation a sample's scores do not depend on the others of its batch, nor on chance") {
  at::manual_seed(vim::test::fresh_seed());
  for_all_variants(kDirections, [](ModelConfig config) {
    config.drop_path_rate = 0.5;
    config.drop_rate = 0.5;
    const auto model = make_classifier(config);
    model->eval();
    const at::NoGradGuard no_grad;
    const at::Tensor images = at::randn({3, 3, 24, 40});
    const at::Tensor all = model->forward(images);
    CHECK((all.slice(0, 1, 2) - model->forward(images.slice(0, 1, 2))).abs().max().item<double>() <
          1e-5);
  });
}

// A model that sees both directions alike cannot tell a sequence from its mirror image once its two
// branches hold the same weights; a model with one direction can.
TEST_CASE("With equal branches the full direction does not change under reversal of the tokens") {
  at::manual_seed(vim::test::fresh_seed());
  ModelConfig config = small();
  config.class_token = ClassToken::kNone;
  config.position_embedding = false;
  const auto model = make_classifier(config);
  const at::NoGradGuard no_grad;
  Weights weights = weights_of(*model);
  for (auto& [name, tensor] : weights) {
    std::string twin = name;
    for (const auto& [from, to] : {std::pair{"A_b_log", "A_log"}, {"D_b", "D"}, {"_b.", "."}}) {
      if (const size_t at = twin.find(from); at != std::string::npos)
        twin.replace(at, std::string(from).size(), to);
    }
    tensor.copy_(weights.at(twin));
  }
  model->eval();
  // Turning the image by half a turn, and each patch back, reverses the row-major token sequence.
  const at::Tensor images = at::randn({2, 3, 24, 40});
  const at::Tensor patches = images.unfold(2, 8, 8).unfold(3, 8, 8);
  const at::Tensor mirrored =
      patches.flip({2, 3}).permute({0, 1, 2, 4, 3, 5}).reshape({2, 3, 24, 40});
  CHECK((model->forward(images) - model->forward(mirrored)).abs().max().item<double>() < 1e-5);
}

TEST_CASE("Stochastic depth and dropout change a training pass, and the seed alone decides how") {
  ModelConfig config = small();
  config.drop_path_rate = 0.5;
  config.drop_rate = 0.2;
  at::manual_seed(1);
  const auto model = make_classifier(config);
  const at::Tensor images = at::randn({4, 3, 24, 40});
  const auto run = [&](uint64_t seed) {
    at::manual_seed(seed);
    return model->forward(images);
  };
  CHECK(run(5).equal(run(5)));
  CHECK_FALSE(run(5).equal(run(6)));
}

TEST_CASE("Weights of another model are refused, naming what differs") {
  ModelConfig config = small();
  const auto model = make_classifier(config);
  Weights weights = weights_of(*make_classifier(config));
  weights.erase("head.bias");
  weights.emplace("neck.weight", at::zeros({1}));
  weights["norm_f.weight"] = at::zeros({7});
  CHECK_THROWS_WITH(
      load_weights(*model, weights, "x.safetensors"),
      "x.safetensors: its weights do not fit this model (it lacks head.bias; the model has no "
      "neck.weight; shapes differ: norm_f.weight [7] instead of [32]); use the model section that "
      "they were trained with");
}

TEST_CASE("An image of another size is refused in one sentence") {
  const auto model = make_classifier(small());
  CHECK_THROWS_WITH(
      model->forward(at::zeros({1, 3, 24, 24})),
      Catch::Contains("the model takes images [batch, 3, 24, 40], got [1, 3, 24, 24]"));
}
