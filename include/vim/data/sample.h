// One image on its way to the batch.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>

namespace vim::data {

struct Sample {
  cv::Mat image;      // CV_8UC3, RGB, or CV_8UC1; the pixels may belong to the data set: read only
  int64_t label = 0;  // position in Dataset::classes()
  int64_t id = 0;     // position in the data set
};

}  // namespace vim::data
