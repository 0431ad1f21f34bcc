#include <zlib.h>

#include <catch2/catch.hpp>

#include "data/images.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/data/dataset.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;
using Catch::Contains;

namespace {

std::string idx_bytes(const std::vector<uint32_t>& shape, const std::string& values) {
  std::string bytes = {0, 0, 8, static_cast<char>(shape.size())};
  for (const uint32_t size : shape) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(size >> shift));
  }
  return bytes + values;
}

void write_gz(const fs::path& path, const std::string& bytes) {
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

// Three images of 2 x 3 pixels: 0 1 2 3 4 5, 6 7 ...
std::string three_images() {
  std::string values;
  for (char i = 0; i < 18; ++i) values.push_back(i);
  return idx_bytes({3, 2, 3}, values);
}

DataConfig config_of(const fs::path& root, int64_t channels = 1) {
  DataConfig config;
  config.format = Format::kIdx;
  config.root = root.string();
  config.channels = channels;
  return config;
}

}  // namespace

TEST_CASE("IDX files give their images and labels, packed or not, grey or repeated") {
  const ScratchFolder folder;
  write_gz(folder / "train-images-idx3-ubyte.gz", three_images());
  vim::write_atomically(folder / "train-labels-idx1-ubyte", idx_bytes({3}, {2, 0, 1}));
  write_gz(folder / "t10k-labels-idx1-ubyte.gz", idx_bytes({1}, {4}));

  const auto grey = open_dataset(config_of(folder.path()), Split::kTrain);
  REQUIRE(grey->size() == 3);
  CHECK(grey->classes() == std::vector<std::string>{"0", "1", "2", "3", "4"});
  const Sample sample = grey->get(1);
  CHECK(sample.label == 0);
  CHECK(sample.id == 1);
  REQUIRE(sample.image.size() == cv::Size(3, 2));
  CHECK(sample.image.at<uint8_t>(1, 2) == 11);

  const Sample rgb = open_dataset(config_of(folder.path(), 3), Split::kTrain)->get(2);
  CHECK(rgb.image.at<cv::Vec3b>(0, 1) == cv::Vec3b(13, 13, 13));
}

TEST_CASE("Malformed IDX files are refused with the file and the reason") {
  const ScratchFolder folder;
  const fs::path images = folder / "train-images-idx3-ubyte";
  vim::write_atomically(folder / "train-labels-idx1-ubyte", idx_bytes({3}, {2, 0, 1}));
  const auto open = [&] { open_dataset(config_of(folder.path()), Split::kTrain); };
  CHECK_THROWS_WITH(open(),
                    Contains("there is no train-images-idx3-ubyte") && Contains("data.root"));

  const std::string good = three_images();
  const std::string header_only = good.substr(0, 16);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "no IDX header"},
      {good.substr(0, 10), "no IDX header"},
      {idx_bytes({3}, "abc"), "not an IDX file of bytes in 3 dimensions"},
      {std::string("\0\0\x0d\3", 4) + good.substr(4), "not an IDX file of bytes"},
      {good.substr(0, 33), "ends after 17 of 18 bytes"},
      {good + "x", "goes on after the 18 bytes"},
      {idx_bytes({0, 2, 3}, ""), "holds nothing"},
      {idx_bytes({0xffffffff, 0xffffffff, 0xffffffff}, good), "declares more than"},
      {idx_bytes({1000000, 200, 200}, good), "ends after 34 of 40000000000 bytes"},
      {idx_bytes({1, 2, 3}, "abcdef"), "3 labels for the 1 images"},
  };
  for (const auto& [bytes, reason] : cases) {
    INFO(reason);
    vim::write_atomically(images, bytes);
    CHECK_THROWS_WITH(open(), Contains("ubyte: ") && Contains(reason));
    CHECK_THROWS_AS(open(), vim::Error);
  }

  fs::remove(images);
  write_gz(images.string() + ".gz", good);
  const std::string packed = vim::read_file(images.string() + ".gz");
  vim::write_atomically(images.string() + ".gz", packed.substr(0, packed.size() - 12));
  CHECK_THROWS_WITH(open(), Contains("ubyte.gz: ends"));
  std::string damaged = packed;
  damaged[14] = static_cast<char>(damaged[14] ^ 0x55);
  vim::write_atomically(images.string() + ".gz", damaged);
  CHECK_THROWS_AS(open(), vim::Error);
}

TEST_CASE("Fashion-MNIST has 60,000 and 10,000 images in ten equal classes") {
  const fs::path root = "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(root)) VIM_SKIP("the package dataset-fashion-mnist is not installed");
  for (const Split split : {Split::kTrain, Split::kVal}) {
    const auto data = open_dataset(config_of(root), split);
    const int64_t size = split == Split::kTrain ? 60000 : 10000;
    REQUIRE(data->size() == size);
    CHECK(data->classes().size() == 10);
    std::vector<int64_t> counts(10);
    double sum = 0;
    for (int64_t id = 0; id < size; ++id) {
      const Sample sample = data->get(id);
      ++counts[sample.label];
      sum += cv::sum(sample.image)[0];
    }
    CHECK(counts == std::vector<int64_t>(10, size / 10));
    CHECK(sum / (784.0 * 255 * static_cast<double>(size)) ==
          Approx(0.286).margin(0.001));  // published mean
  }
}
