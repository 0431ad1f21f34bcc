// Parts of JPEGs against the whole.
#include "data/jpeg_part.h"

#include <catch2/catch.hpp>

#include "data/images.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/random.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"
#include "vim/data/transforms.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;

namespace {

cv::Rect random_part(cv::Size size, vim::RandomStream& random) {
  const auto draw = [&](int64_t low, int64_t high) {
    return static_cast<int>(low + random.below(high - low + 1));
  };
  const int width = draw(1, size.width), height = draw(1, size.height);
  return {draw(0, size.width - width), draw(0, size.height - height), width, height};
}

// Every subsampling, baseline and progressive, sizes that fill no block.
std::vector<std::string> own_jpegs(uint64_t seed) {
  const cv::Mat image = random_image(131, 97, 3, seed);
  std::vector<std::string> files;
  for (const int subsampling :
       {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_GRAY, TJSAMP_440, TJSAMP_411}) {
    for (const int flags : {0, TJFLAG_PROGRESSIVE}) {
      const tjhandle handle = tjInitCompress();
      unsigned char* bytes = nullptr;
      unsigned long size = 0;
      tjCompress2(handle, image.data, image.cols, 0, image.rows, TJPF_RGB, &bytes, &size,
                  subsampling, 90, flags);
      files.emplace_back(reinterpret_cast<const char*>(bytes), size);
      tjFree(bytes);
      tjDestroy(handle);
    }
  }
  return files;
}

void check_parts(const std::string& bytes, vim::RandomStream& random) {
  const cv::Mat whole = decode_image(bytes);
  const auto size = jpeg_size_for_parts(bytes);
  REQUIRE(size == whole.size());
  CHECK(equal(*decode_jpeg_part(bytes, {{0, 0}, *size}), whole));
  for (int i = 0; i < 60; ++i) {
    const cv::Rect part = random_part(*size, random);
    CAPTURE(part.x, part.y, part.width, part.height);
    const auto decoded = decode_jpeg_part(bytes, part);
    REQUIRE(decoded);
    CHECK(equal(*decoded, whole(part).clone()));
  }
}

}  // namespace

TEST_CASE("A part has the pixels of the whole, whatever the encoding") {
  const uint64_t seed = fresh_seed();
  vim::RandomStream random(seed, vim::Purpose::kTransform);
  const auto files = own_jpegs(seed);
  for (size_t i = 0; i < files.size(); ++i) {
    INFO(i);
    check_parts(files[i], random);
  }
}

TEST_CASE("Parts of the fixtures' files too; what is not simple is left to the whole") {
  if (!fs::exists(fixture("data/decode"))) VIM_SKIP("no fixtures");
  vim::RandomStream random(fresh_seed(), vim::Purpose::kTransform);
  for (const char* name : {"420", "422", "444", "gray", "progressive", "restart"}) {
    INFO(name);
    check_parts(vim::read_file(fixture(std::string("data/decode/") + name + ".jpg")), random);
  }
  CHECK_FALSE(jpeg_size_for_parts(vim::read_file(fixture("data/decode/cmyk.jpg"))));
  CHECK_FALSE(jpeg_size_for_parts(vim::read_file(fixture("data/decode/rgb.png"))));
  for (const char* name : {"truncated_half.jpg", "truncated_header.jpg", "text.jpg", "empty.jpg"}) {
    INFO(name);
    CHECK_FALSE(jpeg_size_for_parts(vim::read_file(fixture(std::string("data/broken/") + name))));
  }
}

TEST_CASE("The fast way gives nearly the same, at a scale that still covers what is wanted") {
  cv::Mat image(640, 800, CV_8UC3);
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      image.at<cv::Vec3b>(y, x) = cv::Vec3b(x / 4, y / 3, (x + y) / 6);
    }
  }
  const std::string bytes = jpeg_bytes(image);
  const cv::Rect part(80, 120, 640, 480);
  CHECK(decode_jpeg_part_fast(bytes, part, {320, 240})->size() == cv::Size(320, 240));
  CHECK(decode_jpeg_part_fast(bytes, part, {321, 240})->size() == part.size());
  CHECK(decode_jpeg_part_fast(bytes, part, {10, 10})->size() == cv::Size(80, 60));

  const auto cropped = [&](Decoding decoding) {
    Sample sample = {.image = {}, .jpeg = bytes};
    vim::RandomStream random(1, vim::Purpose::kTransform);
    Pipeline{{RandomResizedCrop{64, {0.5, 1}, {0.75, 1.25}, Filter::kBicubic, decoding}}, {}}.apply(
        sample, random);
    return sample.image;
  };
  const Difference off = difference(cropped(Decoding::kFast), cropped(Decoding::kExact));
  CHECK(off.largest <= 4);
}

TEST_CASE("A crop of an undecoded file is the crop of the decoded one, of any kind and channels") {
  const uint64_t seed = fresh_seed();
  auto files = own_jpegs(seed);
  if (fs::exists(fixture("data/decode/cmyk.jpg"))) {
    files.push_back(vim::read_file(fixture("data/decode/cmyk.jpg")));
  }
  for (const std::string& bytes : files) {
    for (const int channels : {1, 3}) {
      const std::vector<Transform> transforms = {RandomResizedCrop{.size = 24}, Flip{}};
      Sample decoded = {decode_image(bytes, channels)};
      Sample pending = {.image = {}, .jpeg = bytes, .channels = channels};
      vim::RandomStream random(seed, vim::Purpose::kTransform), again = random;
      Pipeline{transforms, {}}.apply(decoded, random);
      Pipeline{transforms, {}}.apply(pending, again);
      CHECK(equal(pending.image, decoded.image));
      CHECK(pending.jpeg.empty());
    }
  }
}

TEST_CASE("A damaged file is refused with a crop as without") {
  const std::string good = own_jpegs(1)[4];
  for (const std::string& bytes : {good.substr(0, good.size() / 2), good.substr(0, 30)}) {
    Sample sample = {.image = {}, .jpeg = bytes};
    vim::RandomStream random(1, vim::Purpose::kTransform);
    CHECK_THROWS_AS((Pipeline{{RandomResizedCrop{.size = 24}}, {}}.apply(sample, random)),
                    vim::Error);
  }
}
