// What can be known of an image by looking at it alone.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <opencv2/core/mat.hpp>
#include <string>

#include "vim/data/sample.h"

namespace vim::data {

enum class Encoding { kNone, kJpeg, kPng };
enum class Colors { kRgb, kGrey, kCmyk };

// What an image looks like, coarsely: whether each of 8 x 8 places is brighter than its right and
// its lower neighbour. Near duplicates differ in a few bits.
struct LookHash {
  std::array<uint64_t, 2> bits{};
  bool flat = true;  // shows nothing that could be compared
};
int distance(const LookHash& a, const LookHash& b);

struct Looks {
  LookHash as_is, mirrored;  // left and right
};
Looks looks_of(const cv::Mat& image);

struct FileFacts {
  std::string
      error;  // why it cannot be read or decoded, or nothing; then the rest but `encoding` is unset
  Encoding encoding = Encoding::kNone;  // none of bare pixels
  Colors colors = Colors::kRgb;
  int orientation = 1;  // EXIF
  int width = 0, height = 0;
  uint64_t bytes_hash = 0;
  Looks looks;
};
FileFacts probe(const std::function<StoredImage()>& read);  // which may throw Error

// The pixels of an image as it is stored, RGB. Throws Error with the reason alone.
cv::Mat pixels_of(const StoredImage& image);

// By a file's name: kNone for other than .jpg, .jpeg and .png.
Encoding encoding_by_name(const std::filesystem::path& path);

}  // namespace vim::data
