// The random transforms that change colours, and the simple random crop.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "data/color_ops.h"
#include "data/images.h"
#include "support/support.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/data/config.h"
#include "vim/data/sample.h"

using namespace vim::test;
using namespace vim::data;

namespace {

cv::Mat applied(const cv::Mat& image, const Transform& transform, uint64_t id,
                InputSize input = {}) {
  Sample sample = {image};
  vim::RandomStream random(0, vim::Purpose::kTransform, 0, id);
  Pipeline{{transform}, input}.apply(sample, random);
  return sample.image;
}

}  // namespace

TEST_CASE("3-Augment is grey, solarized or blurred, each as often") {
  const cv::Mat image = random_image(24, 24, 3, fresh_seed());
  int grey = 0, solar = 0;
  constexpr int kDraws = 900;
  for (int id = 0; id < kDraws; ++id) {
    const cv::Mat out = applied(image, ThreeAugment{}, id);
    const bool is_grey = equal(out, grayscale(image)), is_solar = equal(out, solarize(image, 128));
    grey += is_grey;
    solar += is_solar;
    if (!is_grey && !is_solar) {
      const Difference off = difference(out, image);
      CHECK(off.largest > 0);
    }
  }
  CHECK(std::abs(grey - 300) < 5 * 14.2);
  CHECK(std::abs(solar - 300) < 5 * 14.2);
}

TEST_CASE("Colour jitter keeps within its factors and leaves alone what is 0") {
  const cv::Mat image(4, 4, CV_8UC3, cv::Scalar(100, 100, 100));
  int lowest = 255, highest = 0;
  for (int id = 0; id < 500; ++id) {
    const ColorJitter brightness = {.brightness = 0.4, .contrast = 0, .saturation = 0};
    const int value = applied(image, brightness, id).at<cv::Vec3b>(1, 1)[0];
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  CHECK((lowest >= 60 && lowest < 64));
  CHECK((highest <= 140 && highest > 136));
  const cv::Mat colored = random_image(9, 7, 3, fresh_seed());
  CHECK(equal(applied(colored, ColorJitter{0, 0, 0, 0}, 3), colored));
  CHECK_FALSE(equal(applied(colored, ColorJitter{0, 0, 0, 0.5}, 3), colored));
}

TEST_CASE("RandAugment with a probability of 1 changes nearly every image, with 0 none") {
  const cv::Mat image = random_image(32, 32, 3, fresh_seed());
  int changed = 0;
  for (int id = 0; id < 200; ++id) {
    changed += !equal(applied(image, RandAugment{.policy = "rand-m9-p1-inc1"}, id), image);
    CHECK(equal(applied(image, RandAugment{.policy = "rand-m9-p0-inc1"}, id), image));
  }
  CHECK(changed > 150);
}

TEST_CASE("A random crop reaches as far as its border, which is black or mirrored") {
  cv::Mat image(6, 6, CV_8UC1);
  for (int i = 0; i < 36; ++i) image.data[i] = static_cast<uint8_t>(100 + i);
  std::set<int> corners;
  for (int id = 0; id < 500; ++id) {
    const cv::Mat black = applied(image, RandomCrop{6, 2, Border::kBlack}, id);
    const cv::Mat mirrored = applied(image, RandomCrop{6, 2, Border::kReflect}, id);
    REQUIRE(black.size() == image.size());
    corners.insert(mirrored.at<uint8_t>(2, 2));
    for (int i = 0; i < 36; ++i) {
      if (black.data[i] != 0) CHECK(black.data[i] == mirrored.data[i]);
    }
    // numpy.pad(mode="reflect"): the row beyond the first is the second.
    if (mirrored.at<uint8_t>(2, 2) == 100) CHECK(mirrored.at<uint8_t>(0, 0) == 114);
  }
  CHECK(corners.size() == 25);
  CHECK(applied(image, RandomCrop{.size = {}, .padding = 0}, 1, {4, 3}).size() == cv::Size(3, 4));
  CHECK_THROWS_AS(applied(image, RandomCrop{.size = 7, .padding = 0}, 1), vim::Error);
}

TEST_CASE("A policy that timm would not understand is refused with its place") {
  const auto load = [](const std::string& policy) {
    return vim::config::load_text<DataConfig>(
        "root: x\ntrain_transforms:\n  - rand_augment: " + policy + "\n", "c.yaml");
  };
  CHECK_NOTHROW(load("rand-m7-n3"));
  CHECK_THROWS_WITH(load("rand-m7-x3"), Catch::Contains("c.yaml:3") &&
                                            Catch::Contains("train_transforms.0") &&
                                            Catch::Contains("unknown section 'x3'"));
}
