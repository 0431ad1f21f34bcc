// Exif 2.3: an APP1 segment with a TIFF file, in whose first directory the tag 0x0112 is.
#include "data/exif.h"

#include <cstdint>
#include <opencv2/core.hpp>
#include <optional>

namespace vim::data {
namespace {

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

}  // namespace

int exif_orientation(std::string_view jpeg) {
  const Numbers numbers(jpeg, /*little=*/false);
  size_t at = 2;
  while (numbers.at(at, 1) == 0xffU) {
    const auto marker = numbers.at(at + 1, 1), length = numbers.at(at + 2, 2);
    if (!length || *marker == kStartOfScan) break;
    std::string_view body = jpeg.substr(at + 4, *length < 2 ? 0 : *length - 2);
    if (*marker == kApp1 && body.starts_with("Exif\0\0"sv)) {
      const uint32_t found = orientation_in_tiff(body.substr(6)).value_or(1);
      return found >= 1 && found <= 8 ? static_cast<int>(found) : 1;
    }
    at += size_t{2} + *length;
  }
  return 1;
}

cv::Mat upright(const cv::Mat& image, int orientation) {
  cv::Mat out = image;
  if (orientation >= 5) cv::transpose(image, out);
  // Mirrored left and right, both ways, or top and bottom.
  constexpr int kNone = 2;
  constexpr int kFlip[] = {kNone, 1, -1, 0, kNone, 1, -1, 0};
  const int flip = kFlip[orientation - 1];
  if (flip == kNone) return out;
  cv::Mat flipped;
  cv::flip(out, flipped, flip);
  return flipped;
}

}  // namespace vim::data
