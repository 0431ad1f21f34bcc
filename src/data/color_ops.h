// What Pillow's ImageOps, ImageEnhance and ImageFilter make of an image, and torchvision's hue.
#pragma once

#include <opencv2/core/mat.hpp>

namespace vim::data {

// Each takes CV_8UC1 or CV_8UC3 and gives a new image of the same type; none writes into `image`.

cv::Mat auto_contrast(const cv::Mat& image);  // each channel to 0..255
cv::Mat equalize(const cv::Mat& image);       // each channel's histogram
cv::Mat invert(const cv::Mat& image);
cv::Mat posterize(const cv::Mat& image, int bits);       // keeps the high bits, 0..8
cv::Mat solarize(const cv::Mat& image, int threshold);   // inverts from there upwards
cv::Mat solarize_add(const cv::Mat& image, int amount);  // adds to what is below 128
cv::Mat grayscale(const cv::Mat& image);

// 0 is without, 1 the image itself, more is an exaggeration.
cv::Mat adjust_brightness(const cv::Mat& image, double factor);
cv::Mat adjust_contrast(const cv::Mat& image, double factor);
cv::Mat adjust_saturation(const cv::Mat& image, double factor);
cv::Mat adjust_sharpness(const cv::Mat& image, double factor);

cv::Mat adjust_hue(const cv::Mat& image, double turn);  // -0.5..0.5 of the colour circle

// Pillow's three box blurs in place of a Gaussian with that standard deviation.
cv::Mat gaussian_blur(const cv::Mat& image, double radius);

}  // namespace vim::data
