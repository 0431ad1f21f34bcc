// From the bytes of a batch to the model's input.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

namespace vim::data {

// (images / 255 - mean) / std on `device`: uint8 [batch, height, width, channels] to float [batch,
// channels, height, width]. The bytes are what crosses to a GPU.
at::Tensor normalize(const at::Tensor& images, std::span<const double> mean,
                     std::span<const double> std, at::Device device);

}  // namespace vim::data
