#include "data/resize.h"

#include <catch2/catch.hpp>
#include <cstdio>

#include "data/images.h"
#include "support/support.h"
#include "vim/config/leaf.h"
#include "vim/io/safetensors.h"

namespace fs = std::filesystem;
using namespace vim::test;
using vim::data::Filter;

namespace {

Filter filter_of(const std::string& name) {
  for (const auto& [filter, filter_name] : vim::config::enum_names<Filter>) {
    if (name.starts_with(filter_name)) return filter;
  }
  throw std::runtime_error("no filter in " + name);
}

}  // namespace

TEST_CASE("Every filter gives Pillow's pixels, up, down and of a part") {
  if (!fs::exists(fixture("data/resize.safetensors"))) VIM_SKIP("no fixtures");
  const auto file = vim::io::read_safetensors(fixture("data/resize.safetensors"));
  const cv::Mat input = as_mat(file.tensors.at("input"));
  const std::map<std::string, cv::Rect> crops = {{"crop_bicubic_32x32", {5, 3, 40, 36}},
                                                 {"crop_bicubic_20x60", {0, 0, 20, 60}},
                                                 {"crop_bilinear_32x32", {11, 7, 19, 19}}};
  CHECK(file.tensors.size() == 29);
  for (const auto& [name, tensor] : file.tensors) {
    if (name == "input") continue;
    INFO(name);
    const bool crop = name.starts_with("crop_");
    const cv::Mat expected = as_mat(tensor);
    const cv::Mat out = vim::data::resize(crop ? input(crops.at(name)) : input, expected.size(),
                                          filter_of(crop ? name.substr(5) : name));
    const Difference off = difference(out, expected);
    CHECK(off.largest <= 1);
    CHECK(off.share <= 0.005);
  }
}

TEST_CASE("Nearest takes the pixel that Pillow takes where two are as near") {
  const std::vector<std::vector<uint8_t>> rows = {
      {0, 0, 0, 0, 1, 1, 1}, {0, 1, 1, 2, 2, 3}, {0, 0, 1, 1, 1, 2, 2, 2, 3, 3}};
  for (const auto& expected : rows) {
    cv::Mat in(1, expected.back() + 1, CV_8UC1);
    for (int x = 0; x < in.cols; ++x) in.data[x] = static_cast<uint8_t>(x);
    const cv::Size size(static_cast<int>(expected.size()), 1);
    CHECK(equal(vim::data::resize(in, size, Filter::kNearest), cv::Mat(expected).t()));
    CHECK(equal(vim::data::resize(in.t(), {1, size.width}, Filter::kNearest), cv::Mat(expected)));
  }
}

TEST_CASE("One channel is resized as each of three equal ones") {
  const uint64_t seed = fresh_seed();
  const cv::Mat grey = random_image(50, 41, 1, seed);
  cv::Mat rgb;
  cv::merge(std::vector<cv::Mat>{grey, grey, grey}, rgb);
  for (const auto& [filter, name] : vim::config::enum_names<Filter>) {
    for (const cv::Size size : {cv::Size(28, 28), cv::Size(131, 10), cv::Size(1, 1)}) {
      INFO(name);
      cv::Mat expected;
      const cv::Mat one = vim::data::resize(grey, size, filter);
      cv::merge(std::vector<cv::Mat>{one, one, one}, expected);
      CHECK(equal(vim::data::resize(rgb, size, filter), expected));
    }
  }
}

TEST_CASE("A flat image stays flat, and the same size is the same image") {
  const cv::Mat flat(37, 53, CV_8UC3, cv::Scalar(0, 127, 255));
  for (const auto& [filter, name] : vim::config::enum_names<Filter>) {
    for (const cv::Size size : {cv::Size(224, 224), cv::Size(5, 90), cv::Size(53, 37)}) {
      INFO(name);
      CHECK(equal(vim::data::resize(flat, size, filter),
                  cv::Mat(size, CV_8UC3, cv::Scalar(0, 127, 255))));
    }
  }
}

TEST_CASE("Columns come first where more rows are lost than twice the columns, as in Pillow 13") {
  const cv::Mat image = random_image(60, 80, 3, fresh_seed());
  const auto in_two = [&](cv::Size between, cv::Size size) {
    return vim::data::resize(vim::data::resize(image, between, Filter::kLanczos), size,
                             Filter::kLanczos);
  };
  for (const cv::Size size : {cv::Size(90, 40), cv::Size(55, 69), cv::Size(61, 79)}) {
    CHECK(equal(vim::data::resize(image, size, Filter::kLanczos), in_two({60, size.height}, size)));
  }
  for (const cv::Size size : {cv::Size(55, 70), cv::Size(90, 100), cv::Size(30, 81)}) {
    CHECK(equal(vim::data::resize(image, size, Filter::kLanczos), in_two({size.width, 80}, size)));
  }
}
