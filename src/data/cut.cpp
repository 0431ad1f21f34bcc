#include "data/cut.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace vim::data {

cv::Mat cut(const cv::Mat& image, cv::Rect rect) {
  const cv::Rect inside = rect & cv::Rect({0, 0}, image.size());
  if (inside == rect) return image(rect);
  cv::Mat out = cv::Mat::zeros(rect.size(), image.type());
  if (!inside.empty()) image(inside).copyTo(out(inside - rect.tl()));
  return out;
}

cv::Mat cut_mirrored(const cv::Mat& image, cv::Rect rect) {
  const auto mirrored = [](int i, int count) {
    const int period = std::max(1, 2 * (count - 1));
    const int folded = std::abs(i) % period;
    return std::min(folded, period - folded) % count;
  };
  cv::Mat out(rect.size(), image.type());
  const size_t pixel = image.elemSize();
  for (int y = 0; y < rect.height; ++y) {
    const uint8_t* in = image.ptr(mirrored(rect.y + y, image.rows));
    for (int x = 0; x < rect.width; ++x) {
      std::memcpy(out.ptr(y) + x * pixel, in + mirrored(rect.x + x, image.cols) * pixel, pixel);
    }
  }
  return out;
}

}  // namespace vim::data
