#include "data/tools/probe.h"

#include <algorithm>
#include <bit>
#include <cctype>

#include "data/codecs.h"
#include "data/exif.h"
#include "data/resize.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/hash.h"
#include "vim/data/image.h"

namespace vim::data {
namespace {

constexpr int kGrid = 8;
constexpr int kFlatRange = 12;  // of the brightest and the darkest place

Encoding encoding_of(std::string_view bytes) {
  return is_jpeg(bytes) ? Encoding::kJpeg : is_png(bytes) ? Encoding::kPng : Encoding::kNone;
}

Colors colors_of(std::string_view bytes, Encoding encoding) {
  if (encoding == Encoding::kJpeg) {
    const int components = jpeg_components(bytes);
    return components == 1 ? Colors::kGrey : components == 4 ? Colors::kCmyk : Colors::kRgb;
  }
  constexpr size_t kColorType = 25;  // in the first chunk; 0 and 4 are grey
  const char type = bytes.size() > kColorType ? bytes[kColorType] : 2;
  return type == 0 || type == 4 ? Colors::kGrey : Colors::kRgb;
}

}  // namespace

LookHash look_hash(const cv::Mat& image) {
  const cv::Mat small = with_channels(resize(image, {kGrid + 1, kGrid + 1}, Filter::kBox), 1);
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

int distance(const LookHash& a, const LookHash& b) {
  return std::popcount(a.bits[0] ^ b.bits[0]) + std::popcount(a.bits[1] ^ b.bits[1]);
}

FileFacts probe(const std::filesystem::path& path) {
  FileFacts facts;
  try {
    const std::string bytes = read_file(path);
    facts.encoding = encoding_of(bytes);
    facts.bytes_hash = hash64(bytes);
    const cv::Mat image = decode_image(bytes);
    facts.width = image.cols;
    facts.height = image.rows;
    facts.colors = colors_of(bytes, facts.encoding);
    if (facts.encoding == Encoding::kJpeg) facts.orientation = exif_orientation(bytes);
    facts.look = look_hash(image);
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
