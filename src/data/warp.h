// Affine transforms as Pillow's Image.transform and Image.rotate do them.
#pragma once

#include <opencv2/core/mat.hpp>

#include "vim/data/filter.h"

namespace vim::data {

// Where the pixel (x, y) of the result comes from, in pixels from the corner of the image:
// (a x + b y + c, d x + e y + f).
struct Affine {
  double a = 1, b = 0, c = 0;
  double d = 0, e = 1, f = 0;
};

// Counter-clockwise about the centre.
Affine rotation(double degrees, cv::Size size);

// bilinear or bicubic
bool can_warp(Filter filter);

// The image, CV_8UC1 or CV_8UC3, at the same size. Not antialiased; this
// bicubic has a = -1. What comes from outside takes the colour (on grey images: its grey).
cv::Mat warp(const cv::Mat& image, const Affine& source, Filter filter, const Color& fill);

}  // namespace vim::data
