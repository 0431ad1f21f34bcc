#include "data/listing.h"

#include <malloc.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <thread>

#include "data/datasets.h"
#include "data/images.h"
#include "data/shuffle.h"
#include "data/tar_writer.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/data/commands.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;
using Catch::Contains;

namespace {

void put(const fs::path& path) {
  fs::create_directories(path.parent_path());
  write_png(path, cv::Mat(4, 4, CV_8UC3, cv::Scalar::all(7)));
}

std::string shard(const std::vector<std::string>& keys) {
  const ScratchFolder folder;
  put(folder / "x.png");
  std::string bytes;
  for (const std::string& key : keys) {
    bytes += tar_member(key + ".png", vim::read_file(folder / "x.png"));
    bytes += tar_member(key + ".cls", "1");
  }
  return bytes + tar_end();
}

// train/{a,b} and val/{a,b}, as image folders and as shards.
void make_data(const fs::path& root) {
  for (const char* split : {"train", "val"}) {
    for (const char* name : {"a/1.png", "a/x/2.png", "b/3.png", "b/\xc3\xa4 4.png"}) {
      put(root / split / name);
    }
    vim::write_atomically(root / (std::string(split) + ".tar"), shard({"q"}));
  }
}

DataConfig config_of(const fs::path& root, Format format) {
  DataConfig config;
  config.format = format;
  config.root = root.string();
  return config;
}

void check_same(const Dataset& a, const Dataset& b) {
  REQUIRE(a.size() == b.size());
  CHECK(a.classes() == b.classes());
  CHECK(a.shards() == b.shards());
  for (int64_t i = 0; i < a.size(); ++i) {
    CHECK(a.name(i) == b.name(i));
    CHECK(a.get(i).label == b.get(i).label);
  }
}

ListingParts many(int64_t count) {
  ListingParts parts;
  parts.classes = {"a", "b"};
  parts.containers = {{.path = ""}, {.path = "a/"}, {.path = "b/", .label = 1, .first = count / 2}};
  for (int64_t i = 0; i < count; ++i) parts.add_image(vim::concat("n01440764_", i, ".JPEG"));
  return parts;
}

}  // namespace

TEST_CASE("A data set opened from its index is the one that was indexed") {
  const ScratchFolder folder;
  make_data(folder.path());
  for (const Format format : {Format::kImageFolder, Format::kWebdataset}) {
    DataConfig config = config_of(folder.path(), format);
    const auto without = open_dataset(config, Split::kTrain);
    index({.data = config, .output = folder / "indexes"});
    config.index = (folder / "indexes").string();
    check_same(*open_dataset(config, Split::kTrain), *without);
    CHECK(open_dataset(config, Split::kVal)->size() == (format == Format::kImageFolder ? 4 : 1));
    // It was read: a damaged one is noticed.
    std::string bytes = vim::read_file(folder / "indexes/train.vimindex");
    bytes[20] ^= 1;
    vim::write_atomically(folder / "indexes/train.vimindex", bytes);
    CHECK_THROWS_WITH(open_dataset(config, Split::kTrain), Contains("train.vimindex: is damaged"));
    config.index = (folder / "none").string();
    CHECK_THROWS_WITH(open_dataset(config, Split::kTrain), Contains("data.index"));
  }
}

TEST_CASE("An index of what has changed since is not used") {
  const ScratchFolder folder;
  make_data(folder.path());
  const DataConfig images = config_of(folder.path(), Format::kImageFolder);
  const auto fresh = [&](const DataConfig& config) {
    index({.data = config, .output = config.root});
    // File systems tell times of change that are some milliseconds apart.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  const auto size = [&](const DataConfig& config) {
    return open_dataset(config, Split::kTrain)->size();
  };
  fresh(images);
  CHECK(size(images) == 4);
  put(folder / "train/a/new.png");
  CHECK(size(images) == 5);
  fresh(images);
  fs::remove(folder / "train/a/x/2.png");
  put(folder / "train/a/x/other.png");
  put(folder / "train/a/x/more.png");
  CHECK(size(images) == 6);
  fresh(images);
  put(folder / "train/c/1.png");
  CHECK(size(images) == 7);
  fresh(images);
  fs::remove_all(folder / "train/c");
  CHECK(size(images) == 6);

  const DataConfig shards = config_of(folder.path(), Format::kWebdataset);
  fresh(shards);
  CHECK(size(shards) == 1);
  vim::write_atomically(folder / "train.tar", shard({"q", "r"}));
  CHECK(size(shards) == 2);
  fresh(shards);
  vim::write_atomically(folder / "train2.tar", shard({"q"}));
  CHECK(size(shards) == 3);
  CHECK(size(images) == 6);  // an index of something else
}

TEST_CASE("An index that is damaged anywhere is refused") {
  const ScratchFolder folder;
  const fs::path path = folder / "train.vimindex";
  ListingParts parts = many(100);
  parts.places.resize(100);
  Listing(std::move(parts)).write(path);
  const std::string good = vim::read_file(path);
  CHECK(Listing(path).name(77) == "n01440764_77.JPEG");
  vim::RandomStream random(fresh_seed(), vim::Purpose::kInit);
  for (int i = 0; i < 500; ++i) {
    std::string bad = good;
    const auto at = static_cast<size_t>(random.below(std::ssize(bad)));
    bad[at] = static_cast<char>(bad[at] ^ (1 + random.below(255)));
    CAPTURE(at);
    vim::FileWriter(path).write(bad);
    CHECK_THROWS_WITH(Listing(path), Contains("train.vimindex"));
    vim::FileWriter(path).write(good.substr(0, at));
    CHECK_THROWS_AS(Listing(path), vim::Error);
  }
}

TEST_CASE(
    "An image takes less than 32 bytes of memory, none with an index, and 4 for its place in an "
    "epoch") {
  const ScratchFolder folder;
  constexpr int64_t kFiles = 20'000;
  for (int i = 0; i < kFiles; ++i) {
    const std::string name =
        vim::concat("train/n0", 1440764 + i % 4, "/n0", 1440764 + i % 4, "_", 10000 + i, ".JPEG");
    if (i < 4) fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name);
  }
  const auto heap = [] { return static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd); };
  DataConfig config = config_of(folder.path(), Format::kImageFolder);
  double before = heap();
  const auto listed = open_dataset(config, Split::kTrain);
  REQUIRE(listed->size() == kFiles);
  CHECK((heap() - before) / kFiles < 32);

  fs::create_directories(folder / "val/x");
  std::ofstream(folder / "val/x/1.JPEG");
  index({.data = config, .output = folder.path()});
  before = heap();
  const auto indexed = open_dataset(config, Split::kTrain);
  CHECK((heap() - before) / kFiles < 1);

  before = heap();
  const auto shuffle = full_shuffle(kFiles, 1, 1);
  CHECK((heap() - before) / kFiles < 5);
}
