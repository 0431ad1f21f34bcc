// Mixup and CutMix: what is drawn, and what is done with it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "vim/data/batch_transforms.h"

namespace vim {
class RandomStream;
}

namespace vim::data {

// How each image of a batch is mixed with its partner, the image as far from the batch's end as it
// is from the start. On the host.
struct Mix {
  double share = 1;   // of the image in the mixed target; the partner has the rest
  double weight = 1;  // of the image's pixels outside of the box; inside it is 0
  int64_t top = 0, bottom = 0, left = 0, right = 0;  // what is the partner's alone
};
std::vector<Mix> draw_mixes(const MixingConfig& config, int64_t batch, int64_t height,
                            int64_t width, RandomStream& random);

// `mixes` as a tensor [6, batch] on the device, a row for each member.
at::Tensor mixes_on(const std::vector<Mix>& mixes, at::Device device);

// images: [batch, channels, height, width], floating. A new tensor. No synchronisation.
at::Tensor mix_images(const at::Tensor& images, const at::Tensor& mixes);

// Smoothed one-hot targets [batch, classes], float, of labels [batch] and, with `mixes`, of their
// partners. No synchronisation.
at::Tensor soft_targets(const at::Tensor& labels, int64_t classes, double smoothing,
                        const at::Tensor& mixes = {});

}  // namespace vim::data
