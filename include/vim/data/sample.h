// One image on its way to the batch.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <string>

#include "vim/data/image.h"

namespace vim::data {

struct Sample {
  cv::Mat image;      // CV_8UC3, RGB, or CV_8UC1; the pixels may belong to the data set: read only
  int64_t label = 0;  // position in Dataset::classes()
  int64_t id = 0;     // position in the data set

  std::string jpeg = {};  // a file that is not decoded yet, so that a crop need not decode all of
                          // it; then `image` is empty
  int channels = 3;       // of the image that it will become
  int orientation = 1;    // EXIF's, by which that image will be turned; 1: it stays
};

// An image as it is stored: its file's bytes, or bare pixels.
struct StoredImage {
  std::string file = {};
  cv::Mat pixels = {};  // empty: it is a file
};

// A sample from the bytes of an image file. A JPEG is not decoded yet. Throws Error with the
// reason.
Sample sample_of(std::string bytes, const ReadOptions& options);

// Decodes what is not decoded yet. Throws Error with the reason.
void decode(Sample& sample);

}  // namespace vim::data
