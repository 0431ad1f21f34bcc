#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "data/datasets.h"
#include "data/images.h"
#include "data/tar_writer.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/data/loader.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;
using Catch::Contains;

namespace {

std::string png_bytes(int value) {
  const ScratchFolder folder;
  write_png(folder / "x.png", cv::Mat(4, 4, CV_8UC3, cv::Scalar::all(value)));
  return vim::read_file(folder / "x.png");
}

std::string sample(const std::string& key, const std::string& label, int value = 0) {
  return tar_member(key + ".png", png_bytes(value)) + tar_member(key + ".cls", label);
}

// Shards below `root`/train whose image i is of the shade i % 251, of the class i % 7.
void make_shards(const fs::path& root, const std::vector<int>& counts) {
  fs::create_directories(root / "train");
  int i = 0;
  for (size_t shard = 0; shard < counts.size(); ++shard) {
    std::string bytes;
    for (const int end = i + counts[shard]; i < end; ++i) {
      bytes += sample(vim::concat("k", i), std::to_string(i % 7), i % 251);
    }
    vim::write_atomically(root / "train" / vim::concat(1000 + shard, ".tar"), bytes + tar_end());
  }
}

DataConfig config_of(const fs::path& root) {
  DataConfig config;
  config.format = Format::kWebdataset;
  config.root = root.string();
  return config;
}

std::unique_ptr<Dataset> open(const ScratchFolder& folder, Split split = Split::kTrain) {
  return open_dataset(config_of(folder.path()), split);
}

// One shard of those bytes, opened.
std::unique_ptr<Dataset> open_bytes(const ScratchFolder& folder, const std::string& members) {
  vim::write_atomically(folder / "train.tar", members + tar_end());
  return open(folder);
}

}  // namespace

TEST_CASE("Samples are what WebDataset makes of the members, with labels from cls, json or txt") {
  const ScratchFolder folder;
  const std::string red = png_bytes(200);
  const auto data = open_bytes(
      folder, tar_member("./", "", '5') + tar_member("README.md", "no image") +
                  tar_member("d.ir/a.cls", "3\n") + tar_member("d.ir/a.PNG", red) +
                  tar_member("d.ir/a.seg.png", "not read") +
                  tar_member("d.ir/a.txt", "a caption,\nlong") + tar_member("b.png", red) +
                  tar_member("b.json", R"({"label": 1, "x": [2]})") + tar_member("c.png", red) +
                  tar_member("c.json", "2") + tar_member("d.png", red) +
                  tar_member("d.json", R"({"x": 1})") + tar_member("d.txt", " 0 ") +
                  tar_member("e.json", R"({"cls": "5"})") + tar_member("e.png", red) +
                  tar_member(".hidden.png", "x") + tar_member("nodot", "x") +
                  tar_member("f.webp", "x") + tar_member("f.cls", "9"));
  REQUIRE(data->size() == 5);
  const std::vector<int64_t> labels = {3, 1, 2, 0, 5};
  for (int64_t i = 0; i < 5; ++i) {
    CHECK(data->get(i).label == labels[i]);
    CHECK(data->get(i).id == i);
    CHECK(data->get(i).image.at<cv::Vec3b>(0, 0)[0] == 200);
  }
  CHECK(data->classes() == std::vector<std::string>{"0", "1", "2", "3", "4", "5"});
  CHECK(data->name(0) == (folder.path() / "train.tar, d.ir/a.PNG").string());
  CHECK(data->shards() == std::vector<int64_t>{0});
}

TEST_CASE("Names as labels are classes in their order; numbers are named by classes.txt") {
  const ScratchFolder folder;
  const std::string shard = tar_member("1.png", png_bytes(0)) + tar_member("1.txt", "dog\n") +
                            tar_member("2.png", png_bytes(0)) +
                            tar_member("2.json", R"({"label": "cat"})") +
                            tar_member("3.png", png_bytes(0)) + tar_member("3.txt", "dog");
  const auto named = open_bytes(folder, shard);
  CHECK(named->classes() == std::vector<std::string>{"cat", "dog"});
  CHECK(named->get(0).label == 1);
  CHECK(named->get(1).label == 0);
  vim::write_atomically(folder / "classes.txt", "a\r\nb c\nd\n");
  CHECK(open(folder)->classes() == std::vector<std::string>{"cat", "dog"});
  CHECK(open_bytes(folder, sample("x", "1"))->classes() ==
        std::vector<std::string>{"a", "b c", "d"});
  CHECK_THROWS_WITH(open_bytes(folder, sample("x", "3")),
                    Contains("classes.txt: names 3 classes, and there is the label 3"));
  CHECK_THROWS_WITH(open_bytes(folder, shard + sample("x", "3")),
                    Contains("some labels are numbers (3) and some are names (cat)"));
}

TEST_CASE("A shard whose samples make no sense is an error with its name and the member's") {
  const ScratchFolder folder;
  const auto refuses = [&](const std::string& members, const std::string& reason) {
    CAPTURE(reason);
    CHECK_THROWS_WITH(open_bytes(folder, members), Contains("train.tar") && Contains(reason));
  };
  const std::string image = tar_member("a.png", png_bytes(0));
  refuses(image, "a: the sample has no label");
  refuses(image + tar_member("b.cls", "1") + tar_member("a.cls", "1"),
          "a: the sample has no label");
  refuses(image + tar_member("a.jpg", "x") + tar_member("a.cls", "1"),
          "a: the sample has two images");
  refuses(image + tar_member("a.cls", "1") + tar_member("a.cls", "1"), "a.cls: is there twice");
  for (const char* label : {"", "x", "-1", "1.5", "1 2", "10000000", "99999999999"}) {
    refuses(image + tar_member("a.cls", label), "a.cls: the label");
  }
  refuses(image + tar_member("a.txt", "two\nlines"), "neither a number nor the name");
  refuses(image + tar_member("a.txt", std::string("a\0b", 3)), "neither a number nor the name");
  refuses(image + tar_member("a.json", "{"), "a.json: is no JSON");
  refuses(image + tar_member("a.json", R"({"label": [1]})"), "a.json: its label is neither");
  refuses(image + tar_member("a.json", "-1"), "a.json: its label is neither");
  refuses(image + tar_member("a.json", std::string(100'000, '[') + std::string(100'000, ']')),
          "a.json: its label is neither");
  refuses(image + tar_member("a.json", std::string(2 << 20, ' ')), "a.json is larger");
  refuses(tar_member("a.png", "", '1') + tar_member("a.cls", "1"), "a.png: is a link");
  refuses(tar_member("a.cls", "1"), "no .jpg, .jpeg or .png with a label");
  refuses("", "no .jpg, .jpeg or .png with a label");

  const auto broken =
      open_bytes(folder, tar_member("a.jpg", "not an image") + tar_member("a.cls", "0"));
  CHECK_THROWS_WITH(broken->get(0), Contains("train.tar, a.jpg: neither a JPEG nor a PNG"));
  fs::resize_file(folder / "train.tar", 600);
  CHECK_NOTHROW(broken->name(0));
  fs::resize_file(folder / "train.tar", 512);
  CHECK_THROWS_WITH(broken->get(0), Contains("train.tar: ends too early"));
  fs::remove(folder / "train.tar");
  CHECK_THROWS_WITH(open(folder), Contains("train/*.tar") && Contains("data.train_shards"));
}

TEST_CASE("Shards are found by the split's name or by a pattern") {
  const ScratchFolder folder;
  vim::write_atomically(folder / "imagenet-train-0.tar", sample("a", "0") + tar_end());
  vim::write_atomically(folder / "imagenet-train-1.tar",
                        sample("b", "1") + sample("c", "0") + tar_end());
  vim::write_atomically(folder / "imagenet-validation-0.tar", sample("v", "1") + tar_end());
  CHECK(open(folder)->size() == 3);
  CHECK(open(folder)->shards() == std::vector<int64_t>{0, 1});
  CHECK(open(folder, Split::kVal)->size() == 1);
  DataConfig config = config_of(folder.path());
  config.train_shards = "imagenet-train-{1,0}.tar";
  config.val_shards = (folder / "imagenet-train-1.tar").string();
  CHECK_THAT(open_dataset(config, Split::kTrain)->name(0), Contains("train-1.tar, b.png"));
  CHECK(open_dataset(config, Split::kVal)->size() == 2);
  config.train_shards = "imagenet-train-{0..2}.tar";
  CHECK_THROWS_WITH(open_dataset(config, Split::kTrain),
                    Contains("imagenet-train-2.tar: there is no such"));
}

TEST_CASE("Batches of shards: the same for any number of workers, resumable, each image once") {
  const ScratchFolder folder;
  make_shards(folder.path(), {50, 1, 0, 200, 99, 47});
  vim::write_atomically(folder / "train/empty.tar", tar_end());
  DataConfig config = config_of(folder.path());
  config.train_transforms = {Flip{}, PaddedShift{1}};
  config.batch_size = 12;
  config.shuffle_window = 128;
  const uint64_t seed = fresh_seed();
  const auto epoch = [&](int64_t workers, int64_t first, int64_t rank = 0, int64_t world = 1) {
    config.workers = workers;
    const auto loader = open_loader(config, Split::kTrain,
                                    {.input = {4, 4}, .seed = seed, .rank = rank, .world = world});
    loader->begin(5, first);
    std::vector<Batch> batches;
    while (auto batch = loader->next()) batches.push_back(*batch);
    return batches;
  };
  const auto whole = epoch(1, 0);
  REQUIRE(whole.size() == 397 / 12);
  for (const int64_t workers : {2, 7}) {
    const auto again = epoch(workers, 0);
    const auto resumed = epoch(workers, 20);
    REQUIRE(resumed.size() == whole.size() - 20);
    for (size_t k = 0; k < whole.size(); ++k) {
      CHECK(at::equal(again[k].images, whole[k].images));
      CHECK(at::equal(again[k].ids, whole[k].ids));
      if (k >= 20) CHECK(at::equal(resumed[k - 20].images, whole[k].images));
    }
  }
  std::vector<int64_t> seen;
  for (const int64_t rank : {0, 1, 2}) {
    for (const Batch& batch : epoch(2, 0, rank, 3)) {
      CHECK(at::equal(batch.labels, batch.ids.remainder(7)));
      for (int64_t i = 0; i < batch.ids.size(0); ++i) {
        const auto id = batch.ids[i].item<int64_t>();
        seen.push_back(id);
        CHECK(batch.images[i].max().item<int64_t>() == id % 251);
      }
    }
  }
  CHECK(seen.size() == 397 / 36 * 36);
  std::ranges::sort(seen);
  CHECK(std::ranges::adjacent_find(seen) == seen.end());
}

TEST_CASE("What is read after a resumption is what is left of the epoch") {
  const ScratchFolder folder;
  make_shards(folder.path(), {64, 64});
  DataConfig config = config_of(folder.path());
  config.train_transforms = {};
  config.batch_size = 8;
  config.shuffle_window = 64;
  config.workers = 2;
  const auto loader = open_loader(config, Split::kTrain, {.input = {4, 4}, .seed = 1});
  loader->begin(0);
  std::set<int64_t> needed;
  for (int64_t k = 0; const auto batch = loader->next(); ++k) {
    for (int64_t i = 0; k >= 12 && i < 8; ++i) needed.insert(batch->ids[i].item<int64_t>());
  }
  // Whatever else stands in the shards is not looked at any more.
  for (const char* shard : {"train/1000.tar", "train/1001.tar"}) {
    std::string bytes = vim::read_file(folder / shard);
    const int64_t first = shard[9] == '0' ? 0 : 64;
    const size_t sample_size = (bytes.size() - 1024) / 64;
    for (int64_t i = 0; i < 64; ++i) {
      if (!needed.contains(first + i)) bytes.replace(i * sample_size + 512, 8, "damaged!");
    }
    vim::FileWriter(folder / shard).write(bytes);
  }
  loader->begin(0, 12);
  int64_t batches = 0;
  while (loader->next()) ++batches;
  CHECK(batches == 4);
  loader->begin(0, 0);
  CHECK_THROWS_WITH(([&] {
                      while (loader->next()) {
                      }
                    }()),
                    Contains("neither a JPEG nor a PNG"));
}
