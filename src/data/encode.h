// Images to files.
#pragma once

#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <string>

namespace vim::data {

// CV_8UC3 (RGB) or CV_8UC1.
std::string encode_png(const cv::Mat& image);
// To a file, which must be called .png.
void write_png(const std::filesystem::path& path, const cv::Mat& image);
std::string encode_jpeg(const cv::Mat& image, int quality);

}  // namespace vim::data
