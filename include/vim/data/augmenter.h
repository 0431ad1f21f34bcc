// From a batch of bytes to what the model is trained on, on the device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "vim/data/batch_transforms.h"

namespace vim {
class RandomStream;
}

namespace vim::data {

struct Batch;
struct DataConfig;

// Normalises, erases, mixes and makes the targets. What is drawn is a function of (seed,
// epoch, batch, rank) and is drawn on the host, so that every device computes from the same
// numbers; nothing waits for the device. One thread at a time.
class Augmenter {
 public:
  struct Place {
    uint64_t seed = 0;
    int64_t rank = 0;
    int64_t world = 1;
    at::Device device = at::kCPU;
  };
  struct Result {
    at::Tensor images;   // float [batch, channels, height, width]
    at::Tensor targets;  // float [batch, classes], each row sums to one
  };

  Augmenter(const DataConfig& config, int64_t classes, double label_smoothing, const Place& place);
  Result operator()(const Batch& batch);

 private:
  void erase(const at::Tensor& images, RandomStream& random);

  ErasingConfig erasing_;
  MixingConfig mixing_;
  std::vector<double> mean_, std_;
  int64_t classes_;
  double label_smoothing_;
  Place place_;
  at::Tensor noise_;  // normal numbers, once the first batch shows how many
};

}  // namespace vim::data
