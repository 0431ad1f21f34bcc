// Mixup, CutMix and random erasing.
#include "data/mixing.h"

#include <ATen/ATen.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/erasing.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/core/random.h"
#include "vim/data/augmenter.h"
#include "vim/data/config.h"
#include "vim/data/loader.h"
#include "vim/data/normalize.h"
#include "vim/io/safetensors.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;

namespace {

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// What the fixture's random numbers were, as our draws: one for the batch, each pair or each image.
std::vector<Mix> drawn(const nlohmann::json& draws, int64_t batch, const std::string& mode) {
  auto box = draws["boxes_in_order_of_use"].begin();
  const auto mix = [&](double lambda, bool cut) -> Mix {
    if (lambda == 1) return {};
    if (!cut) return {.share = lambda, .weight = lambda};
    const nlohmann::json used = *box++;
    const std::vector<int64_t> edges = used["box_top_bottom_left_right"];
    return {used["lam"], 1, edges[0], edges[1], edges[2], edges[3]};
  };
  if (mode == "batch") {
    return std::vector<Mix>(batch, mix(draws["lam_drawn"], draws["use_cutmix"]));
  }
  std::vector<Mix> mixes(batch);
  for (size_t i = 0; i < draws["lam_drawn"].size(); ++i) {
    mixes[i] = mix(draws["lam_drawn"][i], draws["use_cutmix"][i]);
    if (mode == "pair") mixes[batch - 1 - i] = mixes[i];
  }
  return mixes;
}

// Bytes, labels 0, 1, 2, 0, ...
Batch random_batch(int64_t batch, int64_t side, int64_t index = 0) {
  Batch result;
  result.images = at::randint(0, 256, {batch, side, side, 3}, at::kByte);
  result.labels = at::arange(batch, at::kLong).remainder(3);
  result.index = index;
  return result;
}

}  // namespace

TEST_CASE("Mixed images and targets are timm's, in every mode") {
  if (!fs::exists(fixture("data/mixing.safetensors"))) VIM_SKIP("no fixtures");
  const auto file = vim::io::read_safetensors(fixture("data/mixing.safetensors"));
  const auto all = nlohmann::json::parse(file.metadata.at("draws"));
  CHECK(all.size() == 9);
  for (const auto& [name, draws] : all.items()) {
    INFO(name);
    const auto tensor = [&](const char* part) { return file.tensors.at(name + "/" + part); };
    const at::Tensor input = tensor("input"), before = input.clone();
    const at::Tensor mixes =
        mixes_on(drawn(draws, input.size(0), name.substr(0, name.find('/'))), at::kCPU);
    CHECK(largest_difference(mix_images(input, mixes), tensor("output")) <= 1e-6);
    CHECK(largest_difference(soft_targets(tensor("label"), 10, 0.1, mixes), tensor("target")) <=
          1e-6);
    CHECK(at::equal(input, before));
  }
}

TEST_CASE("Shares follow Beta, boxes their share, and the batch, a pair or an image is alike") {
  vim::RandomStream random(fresh_seed(), vim::Purpose::kMix);
  MixingConfig mixup;
  mixup.mixup_alpha = 0.8;
  mixup.mode = MixingConfig::Mode::kElem;
  constexpr int kDraws = 20000;
  double sum = 0, squares = 0;
  for (const Mix& mix : draw_mixes(mixup, kDraws, 10, 10, random)) {
    sum += mix.share / kDraws;
    squares += mix.share * mix.share / kDraws;
    CHECK(mix.weight == mix.share);
  }
  const double variance = 1 / (4 * (2 * 0.8 + 1));
  CHECK(sum == Approx(0.5).margin(5 * std::sqrt(variance / kDraws)));
  CHECK(squares - sum * sum == Approx(variance).epsilon(0.05));

  MixingConfig both = mixup;
  both.cutmix_alpha = 1;
  both.switch_p = 0.25;
  both.p = 0.5;
  int cut = 0, mixed = 0;
  for (const Mix& mix : draw_mixes(both, kDraws, 20, 30, random)) {
    const bool is_cut = mix.bottom > mix.top && mix.right > mix.left;
    cut += is_cut;
    mixed += !is_cut && mix.share < 1;
    CHECK((mix.top >= 0 && mix.bottom <= 20 && mix.left >= 0 && mix.right <= 30));
    if (!is_cut) continue;
    const double area = static_cast<double>((mix.bottom - mix.top) * (mix.right - mix.left));
    CHECK(mix.share == Approx(1 - area / 600));
    CHECK(mix.weight == 1);
  }
  CHECK(mixed == Approx(0.375 * kDraws).epsilon(0.05));
  CHECK(cut == Approx(0.125 * kDraws).epsilon(0.1));  // a few boxes are empty

  MixingConfig minmax;
  minmax.cutmix_minmax = {0.25, 0.75};
  minmax.mode = MixingConfig::Mode::kPair;
  const auto pairs = draw_mixes(minmax, 101, 40, 80, random);
  for (int i = 0; i < 50; ++i) {
    const Mix &a = pairs[i], &b = pairs[100 - i];
    CHECK((a.bottom - a.top >= 10 && a.bottom - a.top < 30));
    CHECK((a.right - a.left >= 20 && a.right - a.left < 60));
    CHECK((a.top == b.top && a.left == b.left && a.share == b.share));
  }
  minmax.mode = MixingConfig::Mode::kBatch;
  const auto batch = draw_mixes(minmax, 7, 40, 80, random);
  for (const Mix& mix : batch) CHECK((mix.top == batch[0].top && mix.right == batch[0].right));
}

TEST_CASE("Rectangles keep to their area and shape and come as often as they should") {
  vim::RandomStream random(fresh_seed(), vim::Purpose::kMix);
  ErasingConfig config;
  config.p = 0.25;
  constexpr int kImages = 8000;
  const auto erasures = draw_erasures(config, kImages, 100, 80, random);
  CHECK(std::abs(static_cast<double>(erasures.size()) - kImages / 4.0) <
        5 * std::sqrt(kImages * 0.1875) + kImages * 0.002);
  for (const Erasure& e : erasures) {
    const double area = static_cast<double>(e.height * e.width) / 8000;
    CHECK((area > 0.017 && area < 0.345));
    CHECK((e.top >= 0 && e.top + e.height <= 100 && e.left >= 0 && e.left + e.width <= 80));
    const double aspect = static_cast<double>(e.height) / static_cast<double>(e.width);
    CHECK((aspect > 0.25 && aspect < 4));
  }
  config.p = 1;
  config.min_count = 2;
  config.max_count = 3;
  std::vector<int> counts(200);
  for (const Erasure& e : draw_erasures(config, 200, 100, 80, random)) ++counts[e.row];
  for (const int count : counts) CHECK((count == 2 || count == 3));
}

TEST_CASE("The augmenter erases with 0, one colour or noise, and changes nothing else") {
  const Batch batch = random_batch(64, 20);
  DataConfig config;
  const at::Tensor plain = normalize(batch.images, config.mean, config.std, at::kCPU);
  const auto images = [&](ErasingConfig::Mode mode) {
    config.erasing.p = 1;
    config.erasing.mode = mode;
    Augmenter augmenter(config, 3, 0, {.seed = 5});
    return augmenter(batch).images;
  };
  const at::Tensor zero = images(ErasingConfig::Mode::kConst);
  const at::Tensor erased = zero.ne(plain);
  CHECK(erased.sum().item<double>() > 0.02 * static_cast<double>(plain.numel()));
  CHECK(zero.masked_select(erased).abs().max().item<double>() == 0);
  const at::Tensor noise = images(ErasingConfig::Mode::kPixel).masked_select(erased);
  const auto count = static_cast<double>(noise.numel());
  CHECK(std::abs(noise.mean().item<double>()) < 5 / std::sqrt(count));
  CHECK(noise.std().item<double>() == Approx(1).margin(5 / std::sqrt(count)));
  const at::Tensor colored = images(ErasingConfig::Mode::kRand);
  CHECK(at::equal(colored.ne(plain), erased));
  const at::Tensor first = colored[0][1].masked_select(erased[0][1]);
  CHECK(first.eq(first[0]).all().item<bool>());
  CHECK(first[0].item<double>() != 0);
}

TEST_CASE("What a batch becomes is a function of seed, epoch, batch and rank") {
  DataConfig config;
  config.erasing.p = 0.5;
  config.mixing.mixup_alpha = 0.8;
  config.mixing.cutmix_alpha = 1;
  const Batch batch = random_batch(8, 12, 3);
  const auto result = [&](const Batch& b, const Augmenter::Place& place) {
    return Augmenter(config, 3, 0.1, place)(b);
  };
  const auto once = result(batch, {.seed = 1, .rank = 1, .world = 2});
  const auto again = result(batch, {.seed = 1, .rank = 1, .world = 2});
  CHECK(at::equal(once.images, again.images));
  CHECK(at::equal(once.targets, again.targets));
  CHECK(largest_difference(once.targets.sum(1), at::ones({8})) < 1e-6);
  Batch later = batch;
  later.index = 4;
  CHECK_FALSE(at::equal(once.images, result(later, {.seed = 1, .rank = 1, .world = 2}).images));
  CHECK_FALSE(at::equal(once.images, result(batch, {.seed = 1, .rank = 0, .world = 2}).images));
  CHECK_FALSE(at::equal(once.images, result(batch, {.seed = 2, .rank = 1, .world = 2}).images));
}
