// What can be known of an image file by looking at it alone.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <string>
#include <string_view>

namespace vim::data {

enum class Encoding { kNone, kJpeg, kPng };
enum class Colors { kRgb, kGrey, kCmyk };

// What an image looks like, coarsely: whether each of 8 x 8 places is brighter than its right and
// its lower neighbour. Near duplicates differ in a few bits.
struct LookHash {
  std::array<uint64_t, 2> bits{};
  bool flat = true;  // shows nothing that could be compared
};
LookHash look_hash(const cv::Mat& image);
int distance(const LookHash& a, const LookHash& b);

struct FileFacts {
  std::string
      error;  // why it cannot be read or decoded, or nothing; then the rest but `encoding` is unset
  Encoding encoding = Encoding::kNone;
  Colors colors = Colors::kRgb;
  int orientation = 1;  // EXIF
  int width = 0, height = 0;
  uint64_t bytes_hash = 0;
  LookHash look;
};
FileFacts probe(const std::filesystem::path& path);

// By a file's name: kNone for other than .jpg, .jpeg and .png.
Encoding encoding_by_name(const std::filesystem::path& path);

}  // namespace vim::data
