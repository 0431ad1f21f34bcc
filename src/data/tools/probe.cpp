#include "data/tools/probe.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <opencv2/core.hpp>

#include "data/codecs.h"
#include "data/exif.h"
#include "data/resize.h"
#include "vim/core/error.h"
#include "vim/core/hash.h"
#include "vim/data/image.h"

namespace vim::data {
namespace {

constexpr int kGrid = 8;
constexpr int kFlatRange = 12;  // of the brightest and the darkest place

Encoding encoding_of(std::string_view bytes) {
  return is_jpeg(bytes) ? Encoding::kJpeg : is_png(bytes) ? Encoding::kPng : Encoding::kNone;
}

uint64_t hash_of(const StoredImage& stored) {
  if (stored.pixels.empty()) return hash64(stored.file);
  const cv::Mat& pixels = stored.pixels;
  VIM_CHECK(pixels.isContinuous());
  return hash64(pixels.data, pixels.total() * pixels.elemSize());
}

Colors colors_of(const StoredImage& stored, Encoding encoding) {
  if (!stored.pixels.empty()) {
    return stored.pixels.channels() == 1 ? Colors::kGrey : Colors::kRgb;
  }
  const std::string_view bytes = stored.file;
  if (encoding == Encoding::kJpeg) {
    const int components = jpeg_components(bytes);
    return components == 1 ? Colors::kGrey : components == 4 ? Colors::kCmyk : Colors::kRgb;
  }
  constexpr size_t kColorType = 25;  // in the first chunk; 0 and 4 are grey
  const char type = bytes.size() > kColorType ? bytes[kColorType] : 2;
  return type == 0 || type == 4 ? Colors::kGrey : Colors::kRgb;
}

// Of an image of kGrid + 1 pixels a side.
LookHash look_hash(const cv::Mat& small) {
  LookHash hash;
  for (int y = 0; y < kGrid; ++y) {
    for (int x = 0; x < kGrid; ++x) {
      const uint8_t here = small.at<uint8_t>(y, x);
      const uint64_t bit = uint64_t{1} << (y * kGrid + x);
      if (here > small.at<uint8_t>(y, x + 1)) hash.bits[0] |= bit;
      if (here > small.at<uint8_t>(y + 1, x)) hash.bits[1] |= bit;
    }
  }
  const auto [darkest, brightest] =
      std::minmax_element(small.begin<uint8_t>(), small.end<uint8_t>());
  hash.flat = *brightest - *darkest < kFlatRange;
  return hash;
}

}  // namespace

Looks looks_of(const cv::Mat& image) {
  const cv::Mat small = with_channels(resize(image, {kGrid + 1, kGrid + 1}, Filter::kBox), 1);
  cv::Mat mirrored;
  cv::flip(small, mirrored, 1);
  return {look_hash(small), look_hash(mirrored)};
}

int distance(const LookHash& a, const LookHash& b) {
  return std::popcount(a.bits[0] ^ b.bits[0]) + std::popcount(a.bits[1] ^ b.bits[1]);
}

cv::Mat pixels_of(const StoredImage& image) {
  return image.pixels.empty() ? decode_image(image.file) : with_channels(image.pixels, 3);
}

FileFacts probe(const std::function<StoredImage()>& read) {
  FileFacts facts;
  try {
    const StoredImage stored = read();
    facts.encoding = encoding_of(stored.file);
    facts.bytes_hash = hash_of(stored);
    const cv::Mat image = pixels_of(stored);
    facts.width = image.cols;
    facts.height = image.rows;
    facts.colors = colors_of(stored, facts.encoding);
    facts.orientation = exif_orientation(stored.file);
    facts.looks = looks_of(image);
  } catch (const Error& error) {
    facts.error = error.what();
  }
  return facts;
}

Encoding encoding_by_name(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (extension == ".jpg" || extension == ".jpeg") return Encoding::kJpeg;
  return extension == ".png" ? Encoding::kPng : Encoding::kNone;
}

}  // namespace vim::data
