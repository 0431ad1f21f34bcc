// Images for tests: made, written with the libraries, compared.
#pragma once

#include <ATen/core/Tensor.h>
#include <png.h>
#include <turbojpeg.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <opencv2/core.hpp>
#include <stdexcept>
#include <string>

#include "vim/core/file.h"
#include "vim/core/random.h"

namespace vim::test {

// A view of uint8 [height, width, 3] or [height, width]; the tensor outlives it.
inline cv::Mat as_mat(const at::Tensor& tensor) {
  return {static_cast<int>(tensor.size(0)), static_cast<int>(tensor.size(1)),
          tensor.dim() == 3 ? CV_8UC3 : CV_8UC1, tensor.data_ptr()};
}

inline cv::Mat random_image(int width, int height, int channels, uint64_t seed) {
  cv::Mat image(height, width, CV_8UC(channels));
  RandomStream random(seed, Purpose::kInit, 1);
  for (size_t i = 0; i < image.total() * channels; ++i) {
    image.data[i] = static_cast<uint8_t>(random.below(256));
  }
  return image;
}

inline cv::Mat smooth_image(int width, int height) {
  cv::Mat image(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.at<cv::Vec3b>(y, x) =
          cv::Vec3b(x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height));
    }
  }
  return image;
}

inline bool equal(const cv::Mat& a, const cv::Mat& b) {
  if (a.size() != b.size() || a.type() != b.type()) return false;
  for (int y = 0; y < a.rows; ++y) {
    if (std::memcmp(a.ptr(y), b.ptr(y), a.cols * a.elemSize()) != 0) return false;
  }
  return true;
}

struct Difference {
  int largest = 0;
  double share = 0;  // of the values that differ at all
};

inline Difference difference(const cv::Mat& a, const cv::Mat& b) {
  if (a.size() != b.size() || a.type() != b.type()) return {256, 1};
  Difference result;
  int64_t count = 0;
  const int row = a.cols * a.channels();
  for (int y = 0; y < a.rows; ++y) {
    for (int i = 0; i < row; ++i) {
      const int off = std::abs(a.ptr(y)[i] - b.ptr(y)[i]);
      result.largest = std::max(result.largest, off);
      count += off != 0;
    }
  }
  result.share = static_cast<double>(count) / (static_cast<double>(row) * a.rows);
  return result;
}

inline void write_png(const std::filesystem::path& path, const cv::Mat& image) {
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  png.width = image.cols;
  png.height = image.rows;
  png.format = image.channels() == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  if (png_image_write_to_file(&png, path.c_str(), 0, image.data, 0, nullptr) == 0) {
    throw std::runtime_error(png.message);
  }
}

inline std::string jpeg_bytes(const cv::Mat& rgb, int quality = 95) {
  const tjhandle handle = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  tjCompress2(handle, rgb.data, rgb.cols, 0, rgb.rows, TJPF_RGB, &bytes, &size, TJSAMP_444, quality,
              0);
  std::string result(reinterpret_cast<const char*>(bytes), size);
  tjFree(bytes);
  tjDestroy(handle);
  return result;
}

inline void write_jpeg(const std::filesystem::path& path, const cv::Mat& rgb) {
  write_atomically(path, jpeg_bytes(rgb));
}

}  // namespace vim::test
