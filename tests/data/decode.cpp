#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "data/images.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/data/image.h"
#include "vim/io/safetensors.h"

namespace fs = std::filesystem;
using namespace vim::test;
using vim::data::decode_image;
using vim::data::read_image;

TEST_CASE("Every encoding gives the pixels that Pillow gives") {
  if (!fs::exists(fixture("data/decode"))) VIM_SKIP("no fixtures");
  const auto expected = vim::io::read_safetensors(fixture("data/decode.safetensors")).tensors;
  CHECK(expected.size() == 16);
  for (const auto& [name, tensor] : expected) {
    INFO(name);
    const cv::Mat image = read_image(fixture("data/decode") / name);
    CHECK(difference(image, as_mat(tensor)).largest <= (name.ends_with(".jpg") ? 1 : 0));
  }
}

TEST_CASE("A broken file is refused with its name and the reason") {
  if (!fs::exists(fixture("data/broken"))) VIM_SKIP("no fixtures");
  using Catch::Contains;
  const std::map<std::string, std::string> reasons = {
      {"bad_crc.png", "damaged PNG"},
      {"bomb.png", "100000 x 100000 pixels"},
      {"empty.jpg", "empty"},
      {"html.png", "neither a JPEG nor a PNG"},
      {"text.jpg", "neither a JPEG nor a PNG"},
      {"truncated_half.jpg", "ends too early"},
      {"truncated_half.png", "ends too early"},
      {"truncated_header.jpg", "ends before its image"},
  };
  const std::set<std::string> readable = {"garbage_tail.jpg", "jpeg_named.png", "png_named.jpg"};
  for (const auto& entry : fs::directory_iterator(fixture("data/broken"))) {
    const std::string name = entry.path().filename().string();
    INFO(name);
    if (readable.contains(name)) {
      CHECK_NOTHROW(read_image(entry.path()));
    } else {
      REQUIRE(reasons.contains(name));
      CHECK_THROWS_WITH(read_image(entry.path()),
                        Contains(name + ": ") && Contains(reasons.at(name)));
      CHECK_THROWS_AS(read_image(entry.path()), vim::Error);
    }
  }
}

TEST_CASE("No cut or flipped byte of an image does worse than an error") {
  const uint64_t seed = fresh_seed();
  const ScratchFolder folder;
  const cv::Mat image = random_image(33, 21, 3, seed);
  write_png(folder / "a.png", image);
  vim::RandomStream random(seed, vim::Purpose::kInit);
  for (const std::string& whole : {jpeg_bytes(image), vim::read_file(folder / "a.png")}) {
    for (int i = 0; i < 2000; ++i) {
      std::string bytes = whole;
      if (i % 2 == 0) bytes.resize(random.below(static_cast<int64_t>(bytes.size())));
      for (int flips = i % 4; flips > 0 && !bytes.empty(); --flips) {
        bytes[random.below(static_cast<int64_t>(bytes.size()))] = static_cast<char>(random());
      }
      try {
        decode_image(bytes);
      } catch (const vim::Error&) {
      }
    }
  }
}

TEST_CASE("A PNG with a changed bit in its pixels is refused") {
  const ScratchFolder folder;
  write_png(folder / "a.png", random_image(40, 40, 3, 1));
  const std::string whole = vim::read_file(folder / "a.png");
  for (size_t at = 60; at + 60 < whole.size(); at += 101) {
    INFO(at);
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    CHECK_THROWS_WITH(decode_image(bytes), Catch::Contains("damaged PNG"));
  }
}

TEST_CASE("A JPEG that is cut anywhere is refused, and leaves nothing behind for the next") {
  const cv::Mat image = random_image(40, 40, 3, 1);
  const std::string whole = jpeg_bytes(image);
  const cv::Mat expected = decode_image(whole).clone();
  for (size_t size = 0; size + 2 < whole.size(); size += 3) {
    CHECK_THROWS_AS(decode_image(whole.substr(0, size)), vim::Error);
    REQUIRE(equal(decode_image(whole), expected));
  }
}

TEST_CASE("PNG keeps every pixel, and one channel is Pillow's grey") {
  const ScratchFolder folder;
  const cv::Mat rgb = random_image(31, 17, 3, fresh_seed());
  write_png(folder / "rgb.png", rgb);
  CHECK(equal(read_image(folder / "rgb.png"), rgb));

  const cv::Mat grey = read_image(folder / "rgb.png", {.channels = 1});
  REQUIRE(grey.type() == CV_8UC1);
  for (int y = 0; y < rgb.rows; ++y) {
    for (int x = 0; x < rgb.cols; ++x) {
      const auto p = rgb.at<cv::Vec3b>(y, x);
      const double exact = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
      REQUIRE(std::abs(grey.at<uint8_t>(y, x) - exact) <= 0.51);
    }
  }
  // Grey in, grey out, whether over three channels or not.
  write_png(folder / "grey.png", grey);
  CHECK(equal(read_image(folder / "grey.png", {.channels = 1}), grey));
  CHECK(equal(vim::data::with_channels(read_image(folder / "grey.png"), 1), grey));
}

TEST_CASE("A folder or a missing file is no image") {
  const ScratchFolder folder;
  CHECK_THROWS_AS(read_image(folder.path()), vim::Error);
  CHECK_THROWS_AS(read_image(folder / "none.png"), vim::Error);
}
