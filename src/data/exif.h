// The one thing of a photograph's EXIF data that matters here.
#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <string_view>

namespace vim::data {

// How the camera was held, 1 (upright) to 8; 1 where the file, a JPEG or PNG, does not say, or not
// readably.
int exif_orientation(std::string_view bytes);

// A JPEG without EXIF data, with those that say how the camera was held.
std::string with_orientation(const std::string& jpeg, int orientation);

// The image turned and mirrored so that it is upright.
cv::Mat upright(const cv::Mat& image, int orientation);
cv::Size upright(cv::Size image, int orientation);

// Where a part of the upright image is in the image of that size as it is stored.
cv::Rect stored_part(cv::Rect part, cv::Size image, int orientation);

}  // namespace vim::data
