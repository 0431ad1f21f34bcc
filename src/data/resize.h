// Pillow's antialiased resizing; OpenCV's has other filters and does not antialias.
#pragma once

#include <opencv2/core/mat.hpp>

#include "vim/data/transforms.h"

namespace vim::data {

// `image`, CV_8UC1 or CV_8UC3, at another size. When it shrinks, the filter widens so that every
// pixel counts. To resize a part, give that part of the matrix: its surroundings do not leak in.
cv::Mat resize(const cv::Mat& image, cv::Size size, Filter filter);

}  // namespace vim::data
