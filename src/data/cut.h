// Parts of images.
#pragma once

#include <opencv2/core/mat.hpp>

namespace vim::data {

// The part `rect` of the image, black where it reaches over the edge. Where it does not, a view.
cv::Mat cut(const cv::Mat& image, cv::Rect rect);

// The same, mirrored at the outermost pixels.
cv::Mat cut_mirrored(const cv::Mat& image, cv::Rect rect);

}  // namespace vim::data
