// Ten optimiser steps of the official code: losses, and the parameters after them.
#include <ATen/ATen.h>

#include "nn/official.h"
#include "support/catch.h"
#include "support/support.h"
#include "train/optimizer.h"

TEST_CASE("Ten steps of AdamW give the official losses and parameters") {
  if (!std::filesystem::exists(vim::test::fixture("base.safetensors"))) VIM_SKIP("no fixtures");
  const auto official = vim::test::read_official("base");
  const auto model = official.build();
  vim::train::OptimConfig config;
  config.decay_A_log = true;
  vim::train::AdamW optimizer(*model, config);
  for (int64_t step = 0; step < 10; ++step) {
    CAPTURE(step);
    const at::Tensor loss =
        at::cross_entropy_loss(model->forward(official["steps/input"][step]),
                               official["steps/target"][step], {}, at::Reduction::Mean, -100, 0.1);
    CHECK(std::abs(loss.item<double>() - official["steps/loss"][step].item<double>()) < 1e-4);
    loss.backward();
    optimizer.set_lr(1e-3);
    optimizer.step(optimizer.gradient_norm());
    optimizer.zero_gradients();
  }
  for (const auto& entry : model->named_parameters()) {
    CAPTURE(entry.key());
    const at::Tensor& expected = official["steps/param/" + entry.key()];
    // Adam's first steps are lr * sign(gradient), so a gradient near zero may go the other way; ten
    // steps of 1e-3 are the bound of that, and on average the parameters must agree far better.
    const at::Tensor difference = (entry.value().detach() - expected).abs();
    CHECK(difference.max().item<double>() < 5e-3);
    CHECK(difference.mean().item<double>() < 2e-5);
  }
}

TEST_CASE("Weight decay reaches matrices, and A_log only when asked to") {
  vim::train::OptimConfig config;
  const auto decayed = [&](const char* name, at::IntArrayRef shape) {
    return vim::train::is_decayed(name, at::zeros(shape), config);
  };
  CHECK(decayed("layers.0.mixer.in_proj.weight", {4, 2}));
  CHECK(decayed("layers.0.mixer.conv1d.weight", {4, 1, 4}));
  CHECK_FALSE(decayed("layers.0.mixer.conv1d.bias", {4}));
  CHECK_FALSE(decayed("layers.0.norm.weight", {4}));
  CHECK_FALSE(decayed("pos_embed", {1, 4, 2}));
  CHECK_FALSE(decayed("cls_token_head", {1, 1, 2}));
  CHECK_FALSE(decayed("layers.0.mixer.A_b_log", {4, 2}));
  config.decay_A_log = true;
  CHECK(decayed("layers.0.mixer.A_b_log", {4, 2}));
}

TEST_CASE("Vim-Ti's parameters fall into the official decay groups") {
  vim::train::OptimConfig config;
  config.decay_A_log = true;
  const auto model = vim::nn::make_classifier({});
  int decayed = 0, exempt = 0;
  for (const auto& entry : model->named_parameters()) {
    ++(vim::train::is_decayed(entry.key(), entry.value(), config) ? decayed : exempt);
  }
  CHECK(decayed == 242);
  CHECK(exempt == 173);
}
