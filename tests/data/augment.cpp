// RandAugment's and 3-Augment's operations against Pillow, timm and torchvision.
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <set>

#include "data/color_ops.h"
#include "data/images.h"
#include "data/rand_augment.h"
#include "data/warp.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/data/augment_op.h"
#include "vim/data/sample.h"
#include "vim/data/transforms.h"
#include "vim/io/safetensors.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;

namespace {

constexpr Color kFill = {124, 116, 104};

AugmentOp op_named(const std::string& name) {
  for (const auto& [op, op_name] : vim::config::enum_names<AugmentOp>) {
    if (op_name == name) return op;
  }
  throw std::runtime_error("no operation " + name);
}

void check_equal_to(const cv::Mat& out, const at::Tensor& expected) {
  const Difference off = difference(out, as_mat(expected));
  CHECK(off.largest <= 1);
  CHECK(off.share <= 0.005);
}

// "Rotate/9-/bicubic"
struct Case {
  explicit Case(const std::string& key) {
    const size_t first = key.find('/'), second = key.find('/', first + 1);
    op = op_named(key.substr(0, first));
    const std::string level = key.substr(first + 1, second - first - 1);
    magnitude = std::stod(level.substr(0, level.size() - 1));
    negative = level.back() == '-';
    if (key.ends_with("/bilinear")) filter = Filter::kBilinear;
  }
  AugmentOp op;
  double magnitude;
  bool negative;
  Filter filter = Filter::kBicubic;
};

}  // namespace

TEST_CASE("Every operation of RandAugment is timm's at every level and sign") {
  if (!fs::exists(fixture("data/rand_augment.safetensors"))) VIM_SKIP("no fixtures");
  const auto file = vim::io::read_safetensors(fixture("data/rand_augment.safetensors"));
  const cv::Mat input = as_mat(file.tensors.at("input"));
  vim::RandomStream random(0, vim::Purpose::kTransform);
  CHECK(file.tensors.size() == 185);
  for (const auto& [key, expected] : file.tensors) {
    if (key == "input") continue;
    INFO(key);
    const Case c(key);
    const double argument = argument_at(c.op, c.magnitude, c.negative);
    check_equal_to(augment(input, c.op, argument, {c.filter, kFill}, random), expected);
  }
}

TEST_CASE("Grey, solarize, blur and colour changes are torchvision's") {
  if (!fs::exists(fixture("data/three_augment.safetensors"))) VIM_SKIP("no fixtures");
  const auto file = vim::io::read_safetensors(fixture("data/three_augment.safetensors"));
  const cv::Mat input = as_mat(file.tensors.at("input"));
  const std::map<std::string, cv::Mat> results = {{"grayscale", grayscale(input)},
                                                  {"solarize_128", solarize(input, 128)},
                                                  {"gaussian_blur_0.1", gaussian_blur(input, 0.1)},
                                                  {"gaussian_blur_0.5", gaussian_blur(input, 0.5)},
                                                  {"gaussian_blur_1.0", gaussian_blur(input, 1)},
                                                  {"gaussian_blur_2.0", gaussian_blur(input, 2)},
                                                  {"brightness_0.7", adjust_brightness(input, 0.7)},
                                                  {"brightness_1.3", adjust_brightness(input, 1.3)},
                                                  {"contrast_0.7", adjust_contrast(input, 0.7)},
                                                  {"contrast_1.3", adjust_contrast(input, 1.3)},
                                                  {"saturation_0.7", adjust_saturation(input, 0.7)},
                                                  {"saturation_1.3", adjust_saturation(input, 1.3)},
                                                  {"hue_-0.1", adjust_hue(input, -0.1)},
                                                  {"hue_0.05", adjust_hue(input, 0.05)}};
  CHECK(results.size() + 1 == file.tensors.size());
  for (const auto& [name, out] : results) {
    INFO(name);
    check_equal_to(out, file.tensors.at(name));
  }
}

TEST_CASE("On a grey image an operation does what it does to three equal channels") {
  const uint64_t seed = fresh_seed();
  const cv::Mat grey = random_image(37, 23, 1, seed);
  cv::Mat rgb;
  cv::merge(std::vector<cv::Mat>{grey, grey, grey}, rgb);
  vim::RandomStream random(seed, vim::Purpose::kTransform);
  for (const auto& [op, name] : vim::config::enum_names<AugmentOp>) {
    if (op == AugmentOp::kGaussianBlurRand) continue;
    INFO(name);
    const WarpStyle style = {Filter::kBicubic, {90, 90, 90}};
    const double argument = argument_at(op, 7, true);
    cv::Mat expected;
    const cv::Mat one = augment(grey, op, argument, style, random);
    cv::merge(std::vector<cv::Mat>{one, one, one}, expected);
    CHECK(equal(augment(rgb, op, argument, style, random), expected));
  }
}

TEST_CASE("An operation works on images of a single pixel, row or column, and of one colour") {
  vim::RandomStream random(0, vim::Purpose::kTransform);
  for (const cv::Size size : {cv::Size(1, 1), cv::Size(9, 1), cv::Size(1, 9), cv::Size(2, 2)}) {
    const cv::Mat flat(size, CV_8UC3, cv::Scalar(3, 200, 77));
    for (const auto& [op, name] : vim::config::enum_names<AugmentOp>) {
      INFO(name);
      const cv::Mat out = augment(flat, op, argument_at(op, 10, false), {}, random);
      CHECK(out.size() == size);
    }
    CHECK(equal(gaussian_blur(flat, 2), flat));
    CHECK(equal(auto_contrast(flat), flat));
    CHECK(equal(warp(flat, rotation(37, size), Filter::kBicubic, {3, 200, 77}), flat));
  }
}

TEST_CASE("A policy is read as timm reads it") {
  const RandAugmentPolicy deit = parse_rand_augment("rand-m9-mstd0.5-inc1");
  CHECK(deit.magnitude == 9);
  CHECK(deit.deviation == 0.5);
  CHECK(deit.largest == 10);
  CHECK(deit.count == 2);
  CHECK(deit.p == 0.5);
  CHECK_FALSE(deit.weighted);
  REQUIRE(deit.choices.size() == 15);
  CHECK(deit.choices[4].op == AugmentOp::kPosterizeIncreasing);
  CHECK(parse_rand_augment("rand").choices[4].op == AugmentOp::kPosterize);

  const RandAugmentPolicy other = parse_rand_augment("rand-n3-p0.25-mmax15-m12-mstd101-tweights");
  CHECK(other.magnitude == 12);
  CHECK(other.count == 3);
  CHECK(other.p == 0.25);
  CHECK(other.largest == 15);
  CHECK(std::isinf(other.deviation));
  CHECK(other.weighted);
  CHECK(parse_rand_augment("rand-t3a").choices.size() == 3);
  CHECK(parse_rand_augment("rand-t3aw").choices.size() == 14);

  for (const char* wrong : {"", "augmix-m3", "rand-", "rand-x3", "rand-m", "rand-mfast",
                            "rand-n2.5", "rand-p1.5", "rand-tnone", "rand-n15-t3aw", "rand-m-9"}) {
    INFO(wrong);
    CHECK_THROWS_AS(parse_rand_augment(wrong), vim::Error);
  }
}

TEST_CASE("Operations and magnitudes are drawn as often as they should be") {
  const uint64_t seed = fresh_seed();
  vim::RandomStream random(seed, vim::Purpose::kTransform);
  constexpr int kDraws = 6000;

  const RandAugmentPolicy deit = parse_rand_augment("rand-m9-mstd0.5-inc1");
  std::map<AugmentOp, int> counts;
  int twice = 0;
  double sum = 0, largest = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto ops = deit.draw(random);
    REQUIRE(ops.size() == 2);
    twice += ops[0] == ops[1];
    for (const AugmentOp op : ops) ++counts[op];
    const double magnitude = deit.draw_magnitude(random);
    sum += magnitude;
    largest = std::max(largest, magnitude);
  }
  const auto near = [](double count, double mean) {
    return std::abs(count - mean) < 5 * std::sqrt(mean);
  };
  for (const auto& [op, count] : counts) CHECK(near(count, 2.0 * kDraws / 15));
  CHECK(counts.size() == 15);
  CHECK(near(twice, kDraws / 15.0));
  CHECK(largest == 10);  // a normal number around 9, cut off
  CHECK(sum / kDraws == Approx(8.996).margin(0.04));

  const RandAugmentPolicy weighted = parse_rand_augment("rand-m10-mstd101-n1-tweights");
  int rotations = 0;
  double middle = 0;
  for (int i = 0; i < kDraws; ++i) {
    rotations += weighted.draw(random)[0] == AugmentOp::kRotate;
    middle += weighted.draw_magnitude(random) / kDraws;
  }
  CHECK(near(rotations, kDraws * 3 / 10.05));
  CHECK(middle == Approx(5).margin(0.2));
  const auto all = parse_rand_augment("rand-n14-t3aw").draw(random);
  CHECK(std::set<AugmentOp>(all.begin(), all.end()).size() == 14);  // none twice
}
