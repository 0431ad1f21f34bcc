#include "vim/data/augmenter.h"

#include <ATen/ATen.h>

#include "data/erasing.h"
#include "data/mixing.h"
#include "vim/core/random.h"
#include "vim/data/config.h"
#include "vim/data/loader.h"
#include "vim/data/normalize.h"

namespace vim::data {
namespace {

at::Tensor normal_numbers(int64_t count, uint64_t seed) {
  at::Tensor numbers = at::empty({count}, at::kFloat);
  RandomStream random(seed, Purpose::kNoise);
  float* values = numbers.mutable_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(random.normal());
  return numbers;
}

}  // namespace

Augmenter::Augmenter(const DataConfig& config, int64_t classes, double label_smoothing,
                     const Place& place)
    : erasing_(config.erasing),
      mixing_(config.mixing),
      mean_(config.mean),
      std_(config.std),
      classes_(classes),
      label_smoothing_(label_smoothing),
      place_(place) {}

Augmenter::Result Augmenter::operator()(const Batch& batch) {
  const auto index = static_cast<uint64_t>(batch.index * place_.world + place_.rank);
  RandomStream random(place_.seed, Purpose::kMix, static_cast<uint64_t>(batch.epoch), index);
  const at::Tensor labels = batch.labels.to(place_.device, /*non_blocking=*/true);
  const at::Tensor images = normalize(batch.images, mean_, std_, place_.device);
  if (erasing_.p > 0) erase(images, random);
  if (!mixing_.enabled()) return {images, soft_targets(labels, classes_, label_smoothing_)};
  const at::Tensor mixes = mixes_on(
      draw_mixes(mixing_, images.size(0), images.size(2), images.size(3), random), place_.device);
  return {mix_images(images, mixes), soft_targets(labels, classes_, label_smoothing_, mixes)};
}

void Augmenter::erase(const at::Tensor& images, RandomStream& random) {
  const int64_t channels = images.size(1), height = images.size(2), width = images.size(3);
  if (!noise_.defined()) {
    noise_ = normal_numbers(kNoise + channels * height * width, place_.seed).to(place_.device);
  }
  for (const Erasure& e : draw_erasures(erasing_, images.size(0), height, width, random)) {
    const at::Tensor part =
        images.select(0, e.row).narrow(1, e.top, e.height).narrow(2, e.left, e.width);
    switch (erasing_.mode) {
      case ErasingConfig::Mode::kConst:
        part.zero_();
        break;
      case ErasingConfig::Mode::kRand:
        part.copy_(noise_.narrow(0, e.noise, channels).view({channels, 1, 1}).expand_as(part));
        break;
      case ErasingConfig::Mode::kPixel:
        part.copy_(noise_.narrow(0, e.noise, part.numel()).view(part.sizes()));
        break;
    }
  }
}

}  // namespace vim::data
