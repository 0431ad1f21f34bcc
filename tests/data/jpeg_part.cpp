// Parts of JPEGs against the whole.
#include "data/jpeg_part.h"

// jpeglib.h needs <cstdio> before it.
#include <cstdio>
//
#include <jpeglib.h>

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

struct Encoding {
  int quality = 90;
  int horizontal = 1, vertical = 1;  // chroma samples are further apart by
  bool grey = false, progressive = false, optimized = false;
  unsigned restart_interval = 0;  // MCUs
};

std::string encoded(const cv::Mat& rgb, const Encoding& e) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = rgb.cols;
  info.image_height = rgb.rows;
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  if (e.grey) jpeg_set_colorspace(&info, JCS_GRAYSCALE);
  jpeg_set_quality(&info, e.quality, TRUE);
  info.comp_info[0].h_samp_factor = e.horizontal;
  info.comp_info[0].v_samp_factor = e.vertical;
  info.optimize_coding = e.optimized ? TRUE : FALSE;
  info.restart_interval = e.restart_interval;
  if (e.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < rgb.rows; ++y) {
    JSAMPROW row = const_cast<uint8_t*>(rgb.ptr(y));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string result(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  jpeg_destroy_compress(&info);
  return result;
}

// Every subsampling, sizes that fill no block, and all that matters to Huffman's codes: noise and
// smooth images, few bits and many, the standard's tables and others, restarts.
std::vector<std::string> own_jpegs(uint64_t seed) {
  const cv::Mat noise = random_image(131, 97, 3, seed);
  cv::Mat smooth(noise.size(), CV_8UC3);
  for (int y = 0; y < smooth.rows; ++y) {
    for (int x = 0; x < smooth.cols; ++x) smooth.at<cv::Vec3b>(y, x) = cv::Vec3b(x, 2 * y, x + y);
  }
  std::vector<std::string> files;
  for (const auto& [horizontal, vertical] :
       {std::pair(1, 1), {2, 1}, {2, 2}, {1, 2}, {4, 1}, {4, 2}}) {
    for (Encoding e : {Encoding{},
                       {.quality = 30},
                       {.quality = 100},
                       {.optimized = true},
                       {.restart_interval = 3},
                       {.progressive = true}}) {
      e.horizontal = horizontal;
      e.vertical = vertical;
      files.push_back(encoded(noise, e));
      files.push_back(encoded(smooth, e));
    }
  }
  files.push_back(encoded(noise, {.grey = true}));
  files.push_back(encoded(noise, {.grey = true, .optimized = true, .restart_interval = 1}));
  return files;
}

// libjpeg's own way from end to end.
cv::Mat by_turbojpeg(const std::string& bytes, cv::Size size) {
  cv::Mat image(size, CV_8UC3);
  const tjhandle handle = tjInitDecompress();
  tjDecompress2(handle, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                image.data, size.width, 0, size.height, TJPF_RGB, 0);
  tjDestroy(handle);
  return image;
}

void check_parts(const std::string& bytes, vim::RandomStream& random) {
  const auto size = jpeg_size_for_parts(bytes);
  REQUIRE(size);
  const cv::Mat whole = by_turbojpeg(bytes, *size);
  CHECK(equal(decode_image(bytes), whole));
  CHECK(equal(*decode_jpeg_part(bytes, {{0, 0}, *size}), whole));
  for (int i = 0; i < 30; ++i) {
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
  const std::string good = own_jpegs(1).front();
  for (const std::string& bytes : {good.substr(0, good.size() / 2), good.substr(0, 30)}) {
    Sample sample = {.image = {}, .jpeg = bytes};
    vim::RandomStream random(1, vim::Purpose::kTransform);
    CHECK_THROWS_AS((Pipeline{{RandomResizedCrop{.size = 24}}, {}}.apply(sample, random)),
                    vim::Error);
  }
}

TEST_CASE("A file without one of its restart markers, or with one too many, is judged by libjpeg") {
  const std::string good = encoded(random_image(64, 16, 3, 1), {.restart_interval = 2});
  const size_t marker = good.find("\xff\xd1");
  REQUIRE(marker != good.npos);
  std::string lacking = good, doubled = good, other = good;
  lacking.erase(marker, 2);
  doubled.insert(marker, "\xff\xd1");
  other[marker + 1] = '\xd5';
  for (const std::string& bytes : {lacking, doubled, other}) {
    CHECK_FALSE(decode_jpeg_part(bytes, {0, 0, 64, 16}));
  }
}
