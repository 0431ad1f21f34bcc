// The two image formats, one function each; image.cpp tells them apart.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <string_view>

namespace vim::data {

// By the first bytes.
bool is_jpeg(std::string_view bytes);
bool is_png(std::string_view bytes);

// 1 (grey), 3 or 4 (CMYK), or 0 where the header does not say.
int jpeg_components(std::string_view bytes);

// Whether a JPEG's image itself ends; a thumbnail's end stands before the image's start of scan.
bool has_end_marker(std::string_view jpeg);

// CV_8UC3, RGB. They throw Error with the reason alone.
cv::Mat decode_jpeg(std::string_view bytes);
cv::Mat decode_png(std::string_view bytes);

// Throws where an image of that size is empty or above the limit.
void check_declared_size(int64_t width, int64_t height);

}  // namespace vim::data
