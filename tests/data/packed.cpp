#include "data/packed.h"

#include <catch2/catch.hpp>

#include "data/datasets.h"
#include "data/images.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/data/commands.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;

namespace {

// train/{a,b} with a JPEG and a PNG each, val/{a,b} with a PNG each.
void make_folder(const fs::path& root) {
  for (const char* name : {"a", "b"}) {
    fs::create_directories(root / "train" / name);
    fs::create_directories(root / "val" / name);
    write_jpeg(root / "train" / name / "1.jpg", random_image(40, 30, 3, 1));
    write_png(root / "train" / name / "2.png", random_image(21, 33, 3, 2));
    write_png(root / "val" / name / "3.png", random_image(20, 20, 1, 3));
  }
}

PackCommand command(const ScratchFolder& folder) {
  PackCommand c;
  c.root = folder / "images";
  c.output = folder / "packed";
  c.workers = 2;
  make_folder(c.root);
  return c;
}

}  // namespace

TEST_CASE("A packed folder has the images, labels and classes of the folder, and unpacks to it") {
  const ScratchFolder folder;
  const PackCommand c = command(folder);
  pack(c);
  for (const Split split : {Split::kTrain, Split::kVal}) {
    const auto before = open_image_folder(c.root, split, {});
    const auto after = open_packed(c.output, split, {});
    CHECK(after->classes() == before->classes());
    REQUIRE(after->size() == before->size());
    for (int64_t i = 0; i < after->size(); ++i) {
      CHECK(equal(after->get(i).image, before->get(i).image));
      CHECK(after->get(i).label == before->get(i).label);
    }
  }
  unpack({c.output / "train.vimpack", folder / "again"});
  for (const char* name : {"a/1.jpg", "a/2.png", "b/1.jpg", "b/2.png"}) {
    CHECK(vim::read_file(folder / "again" / name) == vim::read_file(c.root / "train" / name));
  }
}

TEST_CASE("Raw pixels are those of the folder; a short side shrinks, and never enlarges") {
  const ScratchFolder folder;
  PackCommand c = command(folder);
  c.raw = true;
  pack(c);
  const auto before = open_image_folder(c.root, Split::kTrain, {});
  const auto raw = open_packed(c.output, Split::kTrain, {});
  for (int64_t i = 0; i < raw->size(); ++i) {
    CHECK(equal(raw->get(i).image, before->get(i).image));
  }
  c.raw = false;
  c.short_side = 25;
  c.quality = 100;
  pack(c);
  const auto small = open_packed(c.output, Split::kTrain, {});
  CHECK(small->get(0).image.size() == cv::Size(33, 25));
  CHECK(small->get(1).image.size() == cv::Size(21, 33));
}

TEST_CASE("A packed file that is damaged anywhere is refused or names the image") {
  const ScratchFolder folder;
  const PackCommand c = command(folder);
  pack(c);
  const fs::path file = c.output / "train.vimpack";
  const std::string good = vim::read_file(file);
  const auto read_all = [&](const std::string& bytes) {
    vim::write_atomically(file, bytes);
    const auto dataset = open_packed(c.output, Split::kTrain, {});
    for (int64_t i = 0; i < dataset->size(); ++i) dataset->get(i);
  };
  CHECK_NOTHROW(read_all(good));
  vim::RandomStream random(fresh_seed(), vim::Purpose::kInit);
  for (int i = 0; i < 200; ++i) {
    std::string bad = good;
    const auto at = static_cast<size_t>(random.below(static_cast<int64_t>(bad.size())));
    bad[at] = static_cast<char>(bad[at] ^ (1 + random.below(255)));
    CAPTURE(at);
    CHECK_THROWS_AS(read_all(bad), vim::Error);
    CHECK_THROWS_AS(read_all(good.substr(0, at)), vim::Error);
  }
  CHECK_THROWS_WITH(read_all("something else"), Catch::Contains("train.vimpack"));
  std::string bad = good;
  bad[30] ^= 1;
  CHECK_THROWS_WITH(read_all(bad), Catch::Contains("a/1.jpg"));
}

TEST_CASE("Unpacking never leaves its folder") {
  const ScratchFolder folder;
  for (const char* name : {"../evil.png", "/tmp/evil.png", "a/../../evil.png"}) {
    vim::write_atomically(folder / "x.vimpack", [&](vim::FileWriter& out) {
      PackWriter writer(out);
      writer.add({.name = name, .bytes = "x"});
      writer.finish({"a"});
    });
    CHECK_THROWS_WITH(unpack({folder / "x.vimpack", folder / "out"}), Catch::Contains("outside"));
  }
}
