// Damaged bytes, a few seconds of them: a decoder or reader gives an image or an Error, whatever it
// is fed. Under a sanitizer this finds what reads or writes where it should not.
#include <catch2/catch.hpp>
#include <functional>

#include "data/datasets.h"
#include "data/exif.h"
#include "data/images.h"
#include "data/jpeg_part.h"
#include "data/packed.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;

namespace {

constexpr int kRounds = 150;

// Some bytes changed, a piece removed, doubled, or the end cut off.
std::string mutated(std::string bytes, vim::RandomStream& random) {
  const auto place = [&] {
    return static_cast<size_t>(random.below(static_cast<int64_t>(bytes.size())));
  };
  const int64_t changes = 1 + random.below(4);
  for (int64_t i = 0; i < changes && !bytes.empty(); ++i) {
    const size_t at = place(), length = std::min<size_t>(bytes.size() - at, 1 + random.below(64));
    switch (random.below(6)) {
      case 0:
        bytes.erase(at, length);
        break;
      case 1:
        bytes.insert(at, bytes.substr(at, length));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes[at] = static_cast<char>(random.below(2) * 255);
        break;
      default:
        bytes[at] = static_cast<char>(random.below(256));
    }
  }
  return bytes;
}

void feed(const std::vector<std::string>& seeds, vim::RandomStream& random,
          const std::function<void(const std::string&)>& read) {
  for (const std::string& seed : seeds) {
    read(seed);
    for (int i = 0; i < kRounds; ++i) {
      try {
        read(mutated(seed, random));
      } catch (const vim::Error&) {
      }
    }
  }
}

std::vector<std::string> seeds_named(const char* extension) {
  std::vector<std::string> seeds;
  if (!fs::exists(fixture("data/decode"))) return seeds;
  for (const auto& entry : fs::directory_iterator(fixture("data/decode"))) {
    if (entry.path().extension() == extension) seeds.push_back(vim::read_file(entry.path()));
  }
  return seeds;
}

}  // namespace

TEST_CASE("Damaged JPEGs, whole and in parts, and their EXIF data") {
  vim::RandomStream random(fresh_seed(), vim::Purpose::kInit);
  std::vector<std::string> seeds = seeds_named(".jpg");
  seeds.push_back(jpeg_bytes(random_image(33, 21, 3, 1)));
  feed(seeds, random, [](const std::string& bytes) {
    const int orientation = exif_orientation(bytes);
    CHECK((orientation >= 1 && orientation <= 8));
    if (const auto size = jpeg_size_for_parts(bytes); size && size->area() < 1000000) {
      const cv::Rect part(size->width / 3, size->height / 4, (size->width + 1) / 2,
                          (size->height + 1) / 2);
      decode_jpeg_part(bytes, part);
      decode_jpeg_part_fast(bytes, part, {3, 3});
    }
    const cv::Mat image = decode_image(bytes);
    CHECK_FALSE(image.empty());
  });
}

TEST_CASE("Damaged PNGs") {
  vim::RandomStream random(fresh_seed(), vim::Purpose::kInit);
  const ScratchFolder folder;
  write_png(folder / "x.png", random_image(33, 21, 3, 1));
  std::vector<std::string> seeds = seeds_named(".png");
  seeds.push_back(vim::read_file(folder / "x.png"));
  feed(seeds, random, [](const std::string& bytes) {
    const cv::Mat image = decode_image(bytes);
    CHECK_FALSE(image.empty());
  });
}

TEST_CASE("Damaged IDX, CIFAR and packed files") {
  vim::RandomStream random(fresh_seed(), vim::Purpose::kInit);
  const ScratchFolder folder;
  const auto read_all = [](const std::unique_ptr<Dataset>& dataset) {
    for (int64_t i = 0; i < dataset->size(); ++i) dataset->get(i);
  };
  const std::string labels({0, 0, 8, 1, 0, 0, 0, 2, 1, 0});
  const std::string images =
      std::string({0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4}) + std::string(24, 'x');
  for (const char* name : {"train", "t10k"}) {
    vim::write_atomically(folder / (std::string(name) + "-labels-idx1-ubyte"), labels);
    vim::write_atomically(folder / (std::string(name) + "-images-idx3-ubyte"), images);
  }
  for (const char* name : {"train-labels-idx1-ubyte", "train-images-idx3-ubyte"}) {
    const std::string good = vim::read_file(folder / name);
    feed({good}, random, [&](const std::string& bytes) {
      vim::write_atomically(folder / name, bytes);
      read_all(open_idx(folder.path(), Split::kTrain, 3));
    });
    vim::write_atomically(folder / name, good);
  }
  feed({std::string(2 * 3074, 3)}, random, [&](const std::string& bytes) {
    vim::write_atomically(folder / "train.bin", bytes);
    read_all(open_cifar(folder.path(), Split::kTrain, 3));
  });
  vim::write_atomically(folder / "train.vimpack", [&](vim::FileWriter& out) {
    PackWriter writer(out);
    writer.add({.name = "a/1.jpg", .bytes = jpeg_bytes(random_image(20, 10, 3, 1))});
    writer.add({.name = "b/2.png",
                .label = 1,
                .bytes = std::string(60, 'y'),
                .width = 5,
                .height = 4,
                .channels = 3});
    writer.finish({"a", "b"});
  });
  feed({vim::read_file(folder / "train.vimpack")}, random, [&](const std::string& bytes) {
    vim::write_atomically(folder / "train.vimpack", bytes);
    read_all(open_packed(folder.path(), Split::kTrain, {}));
  });
}
