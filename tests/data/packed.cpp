#include "data/packed.h"

#include <catch2/catch.hpp>
#include <set>

#include "data/datasets.h"
#include "data/exif.h"
#include "data/images.h"
#include "data/resize.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
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

TEST_CASE(
    "Shards have the images, labels and classes of the folder, whatever the files are called") {
  const ScratchFolder folder;
  PackCommand c = command(folder);
  c.images_per_shard = 4;
  const cv::Mat image = random_image(9, 7, 3, 4);
  const fs::path folder_b = c.root / "val/b";
  const fs::path deep = folder_b / std::string(90, 'd') / std::string(120, 'e');
  fs::create_directories(deep);
  write_png(deep / "4.png", image);
  for (const char* name : {"1.png", "1.2.png", "1_2.png", "3.JPEG", "\xc3\xa4 b.png"}) {
    write_png(folder_b / name, image);
  }
  pack(c);
  DataConfig config;
  config.format = Format::kWebdataset;
  config.root = c.output.string();
  for (const Split split : {Split::kTrain, Split::kVal}) {
    const auto before = open_image_folder(c.root, split, {});
    const auto after = open_dataset(config, split);
    CHECK(after->classes() == before->classes());
    REQUIRE(after->size() == before->size());
    std::multiset<std::pair<int64_t, std::string>> expected, found;
    for (int64_t i = 0; i < after->size(); ++i) {
      expected.emplace(before->label(i), before->stored(i).file);
      found.emplace(after->label(i), after->stored(i).file);
      if (split == Split::kVal) CHECK(after->get(i).label == before->get(i).label);
    }
    CHECK(found == expected);
  }
  fs::create_directories(c.root / "train/c");
  write_png(c.root / "train/c/1.png", image);
  CHECK_THROWS_WITH(pack(c), Catch::Contains("different classes"));
}

TEST_CASE("A turned photograph is read from what is packed as it is read from the folder") {
  const ScratchFolder folder;
  PackCommand c;
  c.root = folder / "images";
  c.output = folder / "packed";
  fs::create_directories(c.root / "train/a");
  for (int orientation = 1; orientation <= 8; ++orientation) {
    vim::write_atomically(c.root / "train/a" / vim::concat(orientation, ".jpg"),
                          with_orientation(jpeg_bytes(smooth_image(120, 80), 95), orientation));
  }
  const auto far = [&](const PackCommand& command, bool read_packed, bool read_folder) {
    pack(command);
    const auto before = open_image_folder(c.root, Split::kTrain, {.exif_transpose = read_folder});
    const auto after = open_packed(c.output, Split::kTrain, {.exif_transpose = read_packed});
    double most = 0;
    for (int64_t i = 0; i < before->size(); ++i) {
      const cv::Mat image = after->get(i).image;
      const cv::Mat expected =
          resize(before->get(i).image, image.size(), vim::data::Filter::kBicubic);
      most = std::max(most, cv::norm(image, expected, cv::NORM_L1) /
                                static_cast<double>(image.total() * image.elemSize()));
    }
    return most;
  };
  for (const std::optional<int64_t> short_side : {std::optional<int64_t>(), {60}}) {
    for (const bool raw : {false, true}) {
      PackCommand d = c;
      d.short_side = short_side;
      d.raw = raw;
      CAPTURE(short_side.has_value(), raw);
      CHECK(far(d, false, false) < 3);
      if (!raw) CHECK(far(d, true, true) < 3);
      CHECK(far(d, false, true) > 20);
      d.exif_transpose = true;
      CHECK(far(d, false, true) < 3);
      CHECK(far(d, true, true) < 3);
    }
  }
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
