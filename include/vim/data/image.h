// From the bytes of an image file to its pixels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <string_view>

namespace vim::data {

// An image that declares more is refused before memory is taken: Pillow's limit.
inline constexpr int64_t kMaxPixels = 178'956'970;

// Decodes a JPEG or PNG, told apart by the first bytes and not by a file's name, to CV_8UC3 (RGB)
// or, with one channel, CV_8UC1. The pixels are those of Pillow's convert("RGB") and convert("L"):
// EXIF orientation is ignored, transparency dropped; of 16 bits the high 8 stay. Throws Error with
// the reason alone. Safe in any thread.
cv::Mat decode_image(std::string_view bytes, int channels = 3);

// What is made of an image file.
struct ReadOptions {
  int channels = 3;             // 3 (RGB) or 1 (grey)
  bool exif_transpose = false;  // turned as its EXIF data say, as Pillow's ImageOps.exif_transpose
};

// Reads and decodes a file. Throws Error with the file and the reason.
cv::Mat read_image(const std::filesystem::path& path, const ReadOptions& options = {});

// RGB to grey (ITU-R 601-2, as Pillow), grey to three equal channels, or `image` itself.
cv::Mat with_channels(const cv::Mat& image, int channels);

}  // namespace vim::data
