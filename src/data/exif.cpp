// Exif 2.3: an APP1 segment with a TIFF file, in whose first directory the tag 0x0112 is. In a PNG
// the TIFF file is the chunk eXIf.
#include "data/exif.h"

#include <algorithm>
#include <cstdint>
#include <opencv2/core.hpp>
#include <optional>

#include "data/codecs.h"

namespace vim::data {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr unsigned kApp1 = 0xe1, kStartOfScan = 0xda, kOrientation = 0x0112;

// Numbers of 2 and 4 bytes; none beyond the end.
class Numbers {
 public:
  Numbers(std::string_view bytes, bool little) : bytes_(bytes), little_(little) {}
  std::optional<uint32_t> at(size_t offset, size_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return std::nullopt;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const size_t place = little_ ? size - 1 - i : i;
      value = value << 8 | static_cast<uint8_t>(bytes_[offset + place]);
    }
    return value;
  }

 private:
  std::string_view bytes_;
  bool little_;
};

std::optional<uint32_t> orientation_in_tiff(std::string_view tiff) {
  if (!tiff.starts_with("II") && !tiff.starts_with("MM")) return std::nullopt;
  const Numbers numbers(tiff, tiff[0] == 'I');
  const auto directory = numbers.at(4, 4);
  if (!directory) return std::nullopt;
  const uint32_t count = numbers.at(*directory, 2).value_or(0);
  for (uint32_t i = 0; i < count; ++i) {
    const size_t entry = size_t{*directory} + 2 + size_t{12} * i;
    if (numbers.at(entry, 2) == kOrientation) return numbers.at(entry + 8, 2);
  }
  return std::nullopt;
}

std::optional<uint32_t> orientation_in_jpeg(std::string_view jpeg) {
  const Numbers numbers(jpeg, /*little=*/false);
  size_t at = 2;
  while (numbers.at(at, 1) == 0xffU) {
    const auto marker = numbers.at(at + 1, 1), length = numbers.at(at + 2, 2);
    if (!length || *marker == kStartOfScan) break;
    std::string_view body = jpeg.substr(at + 4, *length < 2 ? 0 : *length - 2);
    if (*marker == kApp1 && body.starts_with("Exif\0\0"sv)) {
      return orientation_in_tiff(body.substr(6));
    }
    at += size_t{2} + *length;
  }
  return std::nullopt;
}

std::optional<uint32_t> orientation_in_png(std::string_view png) {
  constexpr size_t kSignature = 8, kLengthAndKind = 8, kChecksum = 4;
  const Numbers numbers(png, /*little=*/false);
  size_t at = kSignature;
  while (const auto length = numbers.at(at, 4)) {
    const std::string_view chunk = png.substr(std::min(png.size(), at + 4));
    if (chunk.starts_with("eXIf")) return orientation_in_tiff(chunk.substr(4, *length));
    at += kLengthAndKind + *length + kChecksum;
  }
  return std::nullopt;
}

// How a stored image becomes upright: first transposed, then mirrored.
struct Turn {
  bool transposed, left_right, top_bottom;
};

Turn turn(int orientation) {
  constexpr bool kLeftRight[] = {false, true, true, false, false, true, true, false};
  constexpr bool kTopBottom[] = {false, false, true, true, false, false, true, true};
  return {orientation >= 5, kLeftRight[orientation - 1], kTopBottom[orientation - 1]};
}

}  // namespace

int exif_orientation(std::string_view bytes) {
  const auto found = is_png(bytes) ? orientation_in_png(bytes) : orientation_in_jpeg(bytes);
  return found && *found >= 1 && *found <= 8 ? static_cast<int>(*found) : 1;
}

std::string with_orientation(const std::string& jpeg, int orientation) {
  // JFIF's own segment comes right after the marker that starts an image, if there is one.
  constexpr size_t kStart = 2;
  const Numbers numbers(jpeg, /*little=*/false);
  const bool jfif = numbers.at(kStart, 2) == 0xffe0U;
  const size_t at = jfif ? kStart + 2 + numbers.at(kStart + 2, 2).value_or(0) : kStart;
  // The segment, a big-endian TIFF file, and its directory: one entry, a number of two bytes.
  std::string segment =
      "\xff\xe1\x00\x22"
      "Exif\0\0"
      "MM\0\x2a\0\0\0\x08"
      "\0\x01"
      "\x01\x12\0\x03\0\0\0\x01\0?\0\0"
      "\0\0\0\0"s;
  segment[segment.find('?')] = static_cast<char>(orientation);
  return std::string(jpeg).insert(std::min(at, jpeg.size()), segment);
}

cv::Mat upright(const cv::Mat& image, int orientation) {
  const Turn t = turn(orientation);
  cv::Mat turned = image;
  if (t.transposed) cv::transpose(image, turned);
  if (!t.left_right && !t.top_bottom) return turned;
  cv::Mat flipped;
  cv::flip(turned, flipped, t.left_right && t.top_bottom ? -1 : t.left_right ? 1 : 0);
  return flipped;
}

cv::Size upright(cv::Size image, int orientation) {
  return turn(orientation).transposed ? cv::Size(image.height, image.width) : image;
}

cv::Rect stored_part(cv::Rect part, cv::Size image, int orientation) {
  const Turn t = turn(orientation);
  const cv::Size size = upright(image, orientation);
  if (t.left_right) part.x = size.width - part.x - part.width;
  if (t.top_bottom) part.y = size.height - part.y - part.height;
  return t.transposed ? cv::Rect(part.y, part.x, part.height, part.width) : part;
}

}  // namespace vim::data
