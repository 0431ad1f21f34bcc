#include "vim/data/transforms.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "data/images.h"
#include "data/resize.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/data/sample.h"

using namespace vim::test;
using namespace vim::data;

namespace {

cv::Mat applied(const cv::Mat& image, std::vector<Transform> transforms, uint64_t seed = 0,
                uint64_t id = 0, InputSize input = {}) {
  Sample sample = {image};
  vim::RandomStream random(seed, vim::Purpose::kTransform, 0, id);
  Pipeline{std::move(transforms), input}.apply(sample, random);
  return sample.image;
}

// Red is the column, green the row: a pixel tells where it came from.
cv::Mat map_of(int width, int height) {
  cv::Mat image(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) image.at<cv::Vec3b>(y, x) = cv::Vec3b(x, y, 255);
  }
  return image;
}

}  // namespace

TEST_CASE("Flipping mirrors columns, twice is nothing, and no input pixel is written") {
  const cv::Mat image = map_of(9, 4), before = image.clone();
  const cv::Mat once = applied(image, {Flip{1}});
  CHECK(once.at<cv::Vec3b>(3, 0) == image.at<cv::Vec3b>(3, 8));
  CHECK(equal(applied(image, {Flip{1}, Flip{1}}), image));
  CHECK(equal(applied(image, {Flip{0}}), image));
  applied(image, {Flip{1}, PaddedShift{2}, RandomResizedCrop{.size = 5}, CenterCrop{3}});
  CHECK(equal(image, before));
}

TEST_CASE("A fair flip flips half of the images") {
  const cv::Mat image = map_of(2, 1);
  const uint64_t seed = fresh_seed();
  int flipped = 0;
  for (int id = 0; id < 2000; ++id) flipped += !equal(applied(image, {Flip{}}, seed, id), image);
  CHECK(std::abs(flipped - 1000) < 5 * std::sqrt(500.0));
}

TEST_CASE("A random crop of everything is a resize") {
  const cv::Mat image = random_image(64, 64, 3, fresh_seed());
  const RandomResizedCrop all = {.size = 24, .scale = {1, 1}, .ratio = {1, 1}};
  CHECK(equal(applied(image, {all}), resize(image, {24, 24}, Filter::kBicubic)));
}

TEST_CASE("Random crops keep to their area and aspect ratio and reach everywhere") {
  const cv::Mat image = map_of(200, 150);
  const uint64_t seed = fresh_seed();
  // Nearest, at a size above the image's: the corners of the result tell the crop.
  const RandomResizedCrop crop = {
      .size = 400, .scale = {0.1, 0.4}, .ratio = {0.5, 2}, .filter = Filter::kNearest};
  int left = 200, right = 0, top = 150, bottom = 0;
  double area_sum = 0;
  constexpr int kDraws = 400;
  for (int id = 0; id < kDraws; ++id) {
    const cv::Mat out = applied(image, {crop}, seed, id);
    REQUIRE(out.size() == cv::Size(400, 400));
    const auto first = out.at<cv::Vec3b>(0, 0), last = out.at<cv::Vec3b>(399, 399);
    const double width = last[0] - first[0] + 1, height = last[1] - first[1] + 1;
    const double area = width * height / (200 * 150);
    CHECK((area > 0.1 * 0.95 && area < 0.4 * 1.05));
    CHECK((width / height > 0.5 * 0.97 && width / height < 2 * 1.03));
    area_sum += area;
    left = std::min<int>(left, first[0]);
    top = std::min<int>(top, first[1]);
    right = std::max<int>(right, last[0]);
    bottom = std::max<int>(bottom, last[1]);
  }
  CHECK(area_sum / kDraws == Approx(0.25).margin(5 * 0.0866 / 20));  // uniform in 0.1 .. 0.4
  CHECK((left < 5 && top < 5 && right > 194 && bottom > 144));
}

TEST_CASE("Where no crop of the wanted shape fits, the middle is taken") {
  const cv::Mat wide = map_of(200, 10);
  const RandomResizedCrop whole = {
      .size = 10, .scale = {1, 1}, .ratio = {0.5, 2}, .filter = Filter::kNearest};
  CHECK(equal(applied(wide, {whole}), resize(wide({90, 0, 20, 10}), {10, 10}, Filter::kNearest)));
}

TEST_CASE("The centre crop rounds as torchvision and pads what is too small with black") {
  // torchvision.transforms.functional.center_crop: int(round((size - crop) / 2.0)), halves to even.
  const std::vector<std::pair<int, int>> width_and_left = {{4, 0}, {5, 0}, {6, 1}, {7, 2},
                                                           {8, 2}, {9, 2}, {11, 4}};
  for (const auto& [width, left] : width_and_left) {
    INFO(width);
    const cv::Mat out = applied(map_of(width, 4), {CenterCrop{4}});
    REQUIRE(out.size() == cv::Size(4, 4));
    CHECK(out.at<cv::Vec3b>(0, 0)[0] == left);
  }
  const cv::Mat padded = applied(map_of(2, 6), {CenterCrop{5}});
  CHECK(padded.at<cv::Vec3b>(0, 0) == cv::Vec3b(0, 0, 0));
  CHECK(padded.at<cv::Vec3b>(0, 1) == cv::Vec3b(0, 0, 255));
  CHECK(padded.at<cv::Vec3b>(0, 2) == cv::Vec3b(1, 0, 255));
  CHECK(padded.at<cv::Vec3b>(0, 3) == cv::Vec3b(0, 0, 0));
}

TEST_CASE("Resize keeps the aspect ratio and covers an input of any shape") {
  CHECK(applied(map_of(250, 187), {Resize{.size = 128}}).size() == cv::Size(171, 128));
  CHECK(applied(map_of(187, 250), {Resize{.size = 128}}).size() == cv::Size(128, 171));
  CHECK(applied(map_of(1, 250), {Resize{.size = 2}}).size() == cv::Size(2, 500));
  CHECK(applied(map_of(100, 100), {Resize{}}, 0, 0, {224, 224}).size() == cv::Size(256, 256));
  CHECK(applied(map_of(100, 100), {Resize{.size = {}, .crop_fraction = 1}}, 0, 0, {100, 200})
            .size() == cv::Size(200, 200));
  CHECK(applied(map_of(90, 30), {Resize{}, CenterCrop{}}, 0, 0, {100, 200}).size() ==
        cv::Size(200, 100));
}

TEST_CASE("A strip that would become an enormous image is refused") {
  const cv::Mat strip(1, 1000000, CV_8UC3, cv::Scalar::all(0));
  CHECK_THROWS_AS(applied(strip, {Resize{.size = 256}}), vim::Error);
}

TEST_CASE("A padded shift moves the image by whole pixels in each direction") {
  const cv::Mat image = map_of(20, 20);
  const uint64_t seed = fresh_seed();
  std::set<std::pair<int, int>> seen;
  for (int id = 0; id < 1000; ++id) {
    const cv::Mat out = applied(image, {PaddedShift{2}}, seed, id);
    REQUIRE(out.size() == image.size());
    const auto middle = out.at<cv::Vec3b>(10, 10);
    const int dx = middle[0] - 10, dy = middle[1] - 10;
    seen.emplace(dx, dy);
    for (int y = 0; y < 20; ++y) {
      for (int x = 0; x < 20; ++x) {
        const bool inside = cv::Rect(0, 0, 20, 20).contains({x + dx, y + dy});
        const auto expected = inside ? cv::Vec3b(x + dx, y + dy, 255) : cv::Vec3b(0, 0, 0);
        REQUIRE(out.at<cv::Vec3b>(y, x) == expected);
      }
    }
  }
  CHECK(seen.size() == 25);
  CHECK(seen.contains({-2, 2}));
}
