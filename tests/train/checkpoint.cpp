#include "train/checkpoint.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "support/catch.h"
#include "support/support.h"
#include "train/ema.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/nn/model.h"

using namespace vim::train;

namespace {

Checkpoint example(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.config = "seed: 1\n";
  checkpoint.version = "test";
  checkpoint.classes = {"cat", "dog \"x\""};
  checkpoint.progress = {.epoch = 2,
                         .step_in_epoch = 3,
                         .step = step,
                         .epoch_loss_sum = 0.1 + 0.2,
                         .epoch_skipped = 1,
                         .skipped = 4,
                         .best = 71.25,
                         .best_epoch = 1,
                         .headline = 70,
                         .ema_headline = 69};
  checkpoint.model = {{"w", at::randn({3, 4})}};
  checkpoint.ema = {{"w", at::randn({3, 4})}};
  checkpoint.optimizer = {{"exp_avg/w", at::randn({3, 4})}};
  return checkpoint;
}

void flip_bit(const std::filesystem::path& path, std::streamoff offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset, std::ios::end);
  const char byte = static_cast<char>(file.get() ^ 4);
  file.seekp(offset, std::ios::end);
  file.put(byte);
}

}  // namespace

TEST_CASE("A checkpoint comes back as it was saved") {
  const vim::test::ScratchFolder folder;
  const Checkpoint saved = example(7);
  save_checkpoint(folder / "last.safetensors", saved);
  const Checkpoint loaded = load_checkpoint(folder / "last.safetensors");
  CHECK(loaded.config == saved.config);
  CHECK(loaded.classes == saved.classes);
  CHECK(loaded.progress == saved.progress);
  CHECK(loaded.model.at("w").equal(saved.model.at("w")));
  CHECK(loaded.ema.at("w").equal(saved.ema.at("w")));
  CHECK(loaded.optimizer.at("exp_avg/w").equal(saved.optimizer.at("exp_avg/w")));
}

TEST_CASE("One flipped bit, in a tensor or in the metadata, is noticed") {
  const vim::test::ScratchFolder folder;
  const auto path = folder / "last.safetensors";
  save_checkpoint(path, example(7));
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path));
  std::string whole = vim::read_file(path);
  const auto in_classes = static_cast<std::streamoff>(whole.find("cat"));
  for (const std::streamoff offset : {std::streamoff{-5}, std::streamoff{-60}, in_classes - size}) {
    CAPTURE(offset);
    save_checkpoint(path, example(7));
    flip_bit(path, offset);
    CHECK_THROWS_WITH(load_checkpoint(path),
                      Catch::Contains("last.safetensors: damaged checkpoint"));
  }
}

TEST_CASE("A checkpoint with any byte changed, or cut off anywhere, is never loaded as good") {
  const vim::test::ScratchFolder folder;
  const auto path = folder / "last.safetensors";
  save_checkpoint(path, example(7));
  const char* real = std::getenv("VIM_TEST_CHECKPOINT");
  const std::string whole = vim::read_file(real != nullptr ? real : path);
  std::mt19937_64 random(vim::test::fresh_seed());
  const auto is_loaded = [&](const std::string& content) {
    vim::FileWriter(path).write(content);
    try {
      load_checkpoint(path);
      return true;
    } catch (const vim::Error&) {
      return false;
    }
  };
  REQUIRE(is_loaded(whole));
  std::vector<size_t> changed, cut;
  for (int round = 0; round < 1000; ++round) {
    std::string damaged = whole;
    const size_t place = random() % whole.size();
    damaged[place] = static_cast<char>(damaged[place] ^ (1 + random() % 255));
    if (is_loaded(damaged)) changed.push_back(place);
    const size_t length = random() % whole.size();
    if (is_loaded(whole.substr(0, length))) cut.push_back(length);
  }
  CHECK(changed == std::vector<size_t>());
  CHECK(cut == std::vector<size_t>());
}

TEST_CASE("The newest good checkpoint is found where the newest one is damaged") {
  const vim::test::ScratchFolder folder;
  CHECK_FALSE(newest_checkpoint(folder.path()).has_value());
  save_checkpoint(folder / "epoch_0001.safetensors", example(10));
  save_checkpoint(folder / "best.safetensors", example(20));
  save_checkpoint(folder / "last.safetensors", example(30));
  CHECK(newest_checkpoint(folder.path())->checkpoint.progress.step == 30);
  flip_bit(folder / "last.safetensors", -5);
  CHECK(newest_checkpoint(folder.path())->checkpoint.progress.step == 20);
  std::filesystem::resize_file(folder / "best.safetensors", 100);
  CHECK(newest_checkpoint(folder.path())->path.filename() == "epoch_0001.safetensors");
}

TEST_CASE("A foreign safetensors file is refused as a checkpoint") {
  const auto path = vim::test::fixture("base.safetensors");
  if (!std::filesystem::exists(path)) VIM_SKIP("no fixtures");
  CHECK_THROWS_WITH(load_checkpoint(path), Catch::Contains("not a checkpoint of vim-train"));
}

TEST_CASE("The moving average starts as the model, and swapping twice is nothing") {
  vim::nn::ModelConfig config;
  config.image_size = {16, 16};
  config.patch_size = 8;
  config.embed_dim = 16;
  config.depth = 1;
  const auto model = vim::nn::make_classifier(config);
  Ema ema(*model, 0.9);
  auto weights = vim::nn::weights_of(*model);
  const at::Tensor before = weights.at("head.weight").detach().clone();
  CHECK(ema.weights().at("head.weight").equal(before));

  const at::NoGradGuard no_grad;
  weights.at("head.weight").add_(1);
  {
    const EmaScope shown(ema);
    CHECK(weights.at("head.weight").equal(before));
  }
  CHECK(weights.at("head.weight").equal(before + 1));
  CHECK(ema.weights().at("head.weight").equal(before));
}
