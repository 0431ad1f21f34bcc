#include "data/exif.h"

#include <zlib.h>

#include <catch2/catch.hpp>

#include "data/images.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/dataset.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"
#include "vim/data/transforms.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;
using namespace std::string_literals;

namespace {

// A TIFF file whose directory has one other entry and then the orientation.
std::string tiff(int orientation, bool little) {
  const auto number = [&](int value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) {
      bytes += static_cast<char>(value >> 8 * (little ? i : size - 1 - i) & 0xff);
    }
    return bytes;
  };
  const auto entry = [&](int tag, int value) {
    return number(tag, 2) + number(3, 2) + number(1, 4) + number(value, 2) + number(0, 2);
  };
  return (little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(2, 2) + entry(0x0100, 77) +
         entry(0x0112, orientation) + number(0, 4);
}

std::string with_exif(const std::string& jpeg, const std::string& exif) {
  const std::string body = "Exif\0\0"s + exif;
  const size_t length = body.size() + 2;
  return jpeg.substr(0, 2) + "\xff\xe1" + static_cast<char>(length >> 8) +
         static_cast<char>(length & 0xff) + body + jpeg.substr(2);
}

std::string png_with_exif(const std::string& png, const std::string& exif) {
  const auto number = [](uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xff);
    return bytes;
  };
  const std::string chunk = "eXIf" + exif;
  const auto sum =
      crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(chunk.size()));
  constexpr size_t kAfterHeader = 8 + 25;
  return png.substr(0, kAfterHeader) + number(static_cast<uint32_t>(exif.size())) + chunk +
         number(static_cast<uint32_t>(sum)) + png.substr(kAfterHeader);
}

// Exif 2.3, table 6: what is seen as the side where the stored row 0 is, and where column 0 is.
struct Sides {
  char row0, column0;
};
constexpr Sides kSides[] = {{'t', 'l'}, {'t', 'r'}, {'b', 'r'}, {'b', 'l'},
                            {'l', 't'}, {'r', 't'}, {'r', 'b'}, {'l', 'b'}};

// The upright image, pixel by pixel from that table.
cv::Mat expected_upright(const cv::Mat& stored, int orientation) {
  const Sides sides = kSides[orientation - 1];
  const bool swapped = sides.row0 == 'l' || sides.row0 == 'r';
  cv::Mat seen(swapped ? stored.cols : stored.rows, swapped ? stored.rows : stored.cols,
               stored.type());
  for (int row = 0; row < stored.rows; ++row) {
    for (int column = 0; column < stored.cols; ++column) {
      int x = 0, y = 0;
      for (const auto& [side, distance] : {std::pair{sides.row0, row}, {sides.column0, column}}) {
        if (side == 'l') x = distance;
        if (side == 'r') x = seen.cols - 1 - distance;
        if (side == 't') y = distance;
        if (side == 'b') y = seen.rows - 1 - distance;
      }
      for (size_t i = 0; i < stored.elemSize(); ++i) {
        seen.ptr(y, x)[i] = stored.ptr(row, column)[i];
      }
    }
  }
  return seen;
}

}  // namespace

TEST_CASE(
    "Images of all eight orientations are turned as the standard says, where that is asked for") {
  const ScratchFolder folder;
  const cv::Mat image = random_image(37, 21, 3, 1);
  write_png(folder / "x.png", image);
  const std::string jpeg = jpeg_bytes(image), png = vim::read_file(folder / "x.png");
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool little : {true, false}) {
      CAPTURE(orientation, little);
      const std::string exif = tiff(orientation, little);
      for (const std::string& bytes : {with_exif(jpeg, exif), png_with_exif(png, exif)}) {
        CHECK(exif_orientation(bytes) == orientation);
        const cv::Mat stored = decode_image(bytes);
        vim::write_atomically(folder / "y", bytes);
        CHECK(equal(read_image(folder / "y"), stored));
        CHECK(equal(read_image(folder / "y", {.exif_transpose = true}),
                    expected_upright(stored, orientation)));
        CHECK(equal(read_image(folder / "y", {.channels = 1, .exif_transpose = true}),
                    with_channels(expected_upright(stored, orientation), 1)));
      }
    }
  }
  CHECK(exif_orientation(with_exif(jpeg, tiff(0, true))) == 1);
  CHECK(exif_orientation(with_exif(jpeg, tiff(9, false))) == 1);
  CHECK(exif_orientation(jpeg) == 1);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::string bytes = with_orientation(jpeg, orientation);
    CHECK(exif_orientation(bytes) == orientation);
    CHECK(equal(decode_image(bytes), decode_image(jpeg)));
  }
  CHECK(exif_orientation(png) == 1);
}

TEST_CASE("A crop of a turned JPEG is the crop of the upright image, decoded whole or in part") {
  const cv::Mat image = smooth_image(403, 259);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::string bytes = with_exif(jpeg_bytes(image, 90), tiff(orientation, true));
    const ReadOptions options = {.exif_transpose = true};
    for (const Decoding decoding : {Decoding::kExact, Decoding::kFast}) {
      CAPTURE(orientation, static_cast<int>(decoding));
      for (uint64_t i = 0; i < 20; ++i) {
        const RandomResizedCrop crop = {.size = 32, .decoding = decoding};
        vim::RandomStream random(i, vim::Purpose::kTransform), same(i, vim::Purpose::kTransform);
        Sample part = sample_of(bytes, options), whole = sample_of(bytes, options);
        crop.apply(part, {}, random);
        decode(whole);
        REQUIRE(equal(whole.image, expected_upright(decode_image(bytes), orientation)));
        crop.apply(whole, {}, same);
        if (decoding == Decoding::kExact) {
          CHECK(equal(part.image, whole.image));
        } else {
          CHECK(cv::norm(part.image, whole.image, cv::NORM_L1) / (32 * 32 * 3) < 4);
        }
        CHECK(random.bits() == same.bits());
      }
    }
  }
}

TEST_CASE("The option reaches every source, evaluation's transforms and the data's sizes") {
  const ScratchFolder folder;
  fs::create_directories(folder / "train/a");
  vim::write_atomically(folder / "train/a/1.jpg",
                        with_exif(jpeg_bytes(random_image(40, 20, 3, 1)), tiff(6, true)));
  DataConfig config;
  config.root = folder.path().string();
  CHECK(open_dataset(config, Split::kTrain)->get(0).image.size() == cv::Size(40, 20));
  config.exif_transpose = true;
  const auto data = open_dataset(config, Split::kTrain);
  CHECK(data->get(0).image.size() == cv::Size(20, 40));
  Sample sample = data->read(0);
  vim::RandomStream random(0, vim::Purpose::kTransform);
  Pipeline{{Resize{.size = 10}}, {}}.apply(sample, random);
  CHECK(sample.image.size() == cv::Size(10, 20));
}
