#include <catch2/catch.hpp>
#include <fstream>

#include "data/datasets.h"
#include "data/images.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/data/sample.h"

using namespace vim::test;
using namespace vim::data;

namespace {

// Red counts columns, green rows, blue is the image's number.
std::string record(const std::string& labels, int number) {
  std::string bytes = labels;
  for (int i = 0; i < 1024; ++i) bytes += static_cast<char>(i % 32);
  for (int i = 0; i < 1024; ++i) bytes += static_cast<char>(i / 32);
  return bytes + std::string(1024, static_cast<char>(number));
}

void write(const std::filesystem::path& path, const std::string& bytes) {
  vim::write_atomically(path, bytes);
}

}  // namespace

TEST_CASE("CIFAR-10's five files are one data set, its planes an image") {
  const ScratchFolder folder;
  for (int file = 1; file <= 5; ++file) {
    write(folder / ("data_batch_" + std::to_string(file) + ".bin"),
          record({static_cast<char>(file)}, 2 * file) + record({9}, 2 * file + 1));
  }
  write(folder / "test_batch.bin", record({3}, 77));
  write(folder / "batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  const auto train = open_cifar(folder.path(), Split::kTrain, 3);
  REQUIRE(train->size() == 10);
  const Sample sample = train->get(4);
  CHECK(sample.label == 3);
  CHECK(sample.image.size() == cv::Size(32, 32));
  CHECK(sample.image.at<cv::Vec3b>(5, 7) == cv::Vec3b(7, 5, 6));
  CHECK(train->get(9).label == 9);
  CHECK_THAT(train->name(9), Catch::EndsWith("data_batch_5.bin, image 1"));
  CHECK(train->classes().at(9) == "j");
  const auto val = open_cifar(folder.path(), Split::kVal, 1);
  CHECK(val->size() == 1);
  CHECK(val->get(0).image.type() == CV_8UC1);
}

TEST_CASE("CIFAR-100 is labelled by its fine classes") {
  const ScratchFolder folder;
  write(folder / "train.bin", record({19, 99}, 1) + record({0, 7}, 2));
  write(folder / "test.bin", record({1, 2}, 3));
  const auto train = open_cifar(folder.path(), Split::kTrain, 3);
  CHECK(train->size() == 2);
  CHECK(train->get(0).label == 99);
  CHECK(train->get(1).image.at<cv::Vec3b>(31, 30) == cv::Vec3b(30, 31, 2));
  CHECK(train->classes().size() == 100);
}

TEST_CASE("What is no CIFAR file is refused by name") {
  const ScratchFolder folder;
  CHECK_THROWS_WITH(open_cifar(folder.path(), Split::kTrain, 3),
                    Catch::Contains("data_batch_1.bin"));
  write(folder / "test.bin", record({1, 2}, 3));
  write(folder / "train.bin", record({0, 7}, 2) + "x");
  CHECK_THROWS_WITH(open_cifar(folder.path(), Split::kTrain, 3), Catch::Contains("train.bin"));
  write(folder / "train.bin", record({0, 7}, 2) + record({0, 100}, 2));
  CHECK_THROWS_WITH(open_cifar(folder.path(), Split::kTrain, 3),
                    Catch::Contains("image 1") && Catch::Contains("label 100"));
}
