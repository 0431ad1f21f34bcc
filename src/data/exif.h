// The one thing of a JPEG's EXIF data that matters here.
#pragma once

#include <opencv2/core/mat.hpp>
#include <string_view>

namespace vim::data {

// How the camera was held, 1 (upright) to 8; 1 where the file does not say, or not readably.
int exif_orientation(std::string_view jpeg);

// The image turned and mirrored so that it is upright.
cv::Mat upright(const cv::Mat& image, int orientation);

}  // namespace vim::data
