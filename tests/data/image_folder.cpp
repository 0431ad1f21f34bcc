#include <catch2/catch.hpp>

#include "data/images.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/data/dataset.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;
using Catch::Contains;

namespace {

std::unique_ptr<Dataset> open(const fs::path& root, Split split = Split::kTrain,
                              int64_t channels = 3) {
  DataConfig config;
  config.root = root.string();
  config.channels = channels;
  return open_dataset(config, split);
}

void put(const fs::path& path, uint8_t value = 0) {
  fs::create_directories(path.parent_path());
  write_png(path, cv::Mat(4, 4, CV_8UC3, cv::Scalar::all(value)));
}

}  // namespace

TEST_CASE("An image folder is ordered as torchvision orders it") {
  const ScratchFolder folder;
  // The right-hand side is what torchvision.datasets.ImageFolder makes of these files: sorted() of
  // the class names, sorted(os.walk(...)) of the folders, sorted() of the names, by code point.
  // Hidden ones differ.
  const std::vector<std::string> in_order = {
      "B/a.png", "a b/1.png",   "a/10.png",  "a/9.PNG",     "a/Z.png",
      "a/a.png", "a/x-y/0.png", "a/x/1.png", "a/x/y/0.png", "\xc3\xa4/1.png",
  };
  for (size_t i = 0; i < in_order.size(); ++i) {
    put(folder.path() / "train" / in_order[i], static_cast<uint8_t>(i));
  }
  for (const char* left_out :
       {"train/a/.hidden.png", "train/.thumbnails/1.png", "train/readme.png"}) {
    put(folder / left_out);
  }
  vim::write_atomically(folder / "train/a/notes.txt", "no image");

  const auto data = open(folder.path());
  CHECK(data->classes() == std::vector<std::string>{"B", "a", "a b", "\xc3\xa4"});
  std::vector<std::string> expected = in_order;
  std::rotate(expected.begin() + 1, expected.begin() + 2,
              expected.end() - 1);  // class "a" before "a b"
  REQUIRE(data->size() == static_cast<int64_t>(expected.size()));
  for (int64_t id = 0; id < data->size(); ++id) {
    CHECK(data->name(id) == (folder.path() / "train" / expected[id]).string());
    const Sample sample = data->get(id);
    CHECK(data->classes()[sample.label] == expected[id].substr(0, expected[id].find('/')));
    CHECK(sample.image.at<cv::Vec3b>(0, 0)[0] ==
          std::ranges::find(in_order, expected[id]) - in_order.begin());
  }
}

TEST_CASE("Links to folders and files are followed, and grey is decoded on request") {
  const ScratchFolder folder;
  put(folder / "elsewhere/class/1.png", 200);
  fs::create_directories(folder / "val/b");
  fs::create_symlink(folder / "elsewhere/class", folder / "val/a");
  fs::create_symlink(folder / "elsewhere/class/1.png", folder / "val/b/link.png");
  const auto data = open(folder.path(), Split::kVal, 1);
  REQUIRE(data->size() == 2);
  CHECK(data->get(1).label == 1);
  CHECK(data->get(1).image.at<uint8_t>(0, 0) == 200);
}

TEST_CASE("A folder that is no data set is an error that says what was expected") {
  const ScratchFolder folder;
  CHECK_THROWS_WITH(open(folder / "none"), Contains("none") && Contains("data.root"));
  CHECK_THROWS_WITH(open(folder.path()),
                    Contains("train: there is no such folder") && Contains("<class>"));
  fs::create_directories(folder / "train");
  CHECK_THROWS_WITH(open(folder.path()), Contains("no class folders"));
  put(folder / "train/cat/1.png");
  fs::create_directories(folder / "train/dog");
  vim::write_atomically(folder / "train/dog/photo.webp", "");
  CHECK_THROWS_WITH(open(folder.path()), Contains("train/dog: this class has no"));
  CHECK_THROWS_AS(open(folder.path()), vim::Error);
  put(folder / "train/dog/1.png");
  fs::create_directory_symlink(folder / "train", folder / "train/dog/loop");
  CHECK_THROWS_AS(open(folder.path()), vim::Error);
}

TEST_CASE("A broken image is named when it is read") {
  const ScratchFolder folder;
  put(folder / "train/cat/1.png");
  vim::write_atomically(folder / "train/cat/2.jpg", "not an image");
  const auto data = open(folder.path());
  CHECK_NOTHROW(data->get(0));
  CHECK_THROWS_WITH(data->get(1), Contains("train/cat/2.jpg: neither a JPEG nor a PNG"));
}
