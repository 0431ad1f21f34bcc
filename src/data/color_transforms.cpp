// The transforms that leave the image's size as it is and change what it shows.
#include <algorithm>
#include <array>
#include <utility>

#include "data/color_ops.h"
#include "data/rand_augment.h"
#include "data/warp.h"
#include "vim/core/error.h"
#include "vim/core/random.h"
#include "vim/data/sample.h"
#include "vim/data/transforms.h"

namespace vim::data {

using config::at_least;
using config::between;

void describe(config::Visitor& v, RandAugment& c) {
  v("policy", c.policy,
    "timm's string: rand, then m9 (magnitude 0..10), n2 (operations an image), mstd0.5 (standard "
    "deviation of the magnitude; above 100 uniform from 0), mmax10 (largest magnitude), p0.5 "
    "(probability of each operation), inc1 (operations that grow with the magnitude), tweights, "
    "t3a or t3aw (another set).",
    config::not_empty);
  v("filter", c.filter, "What rotations, shears and shifts interpolate with: bilinear or bicubic.");
  v("fill", c.fill, "Red, green and blue where they leave the image.", between(0, 255));
}

void check(const RandAugment& c, config::Problems& problems) {
  try {
    parse_rand_augment(c.policy);
  } catch (const Error& error) {
    problems.add("policy", error.what());
  }
  if (!can_warp(c.filter)) problems.add("filter", "expected bilinear or bicubic");
}

void RandAugment::apply(Sample& sample, const InputSize&, RandomStream& random) const {
  const RandAugmentPolicy drawn = parse_rand_augment(policy);
  for (const AugmentOp op : drawn.draw(random)) {
    if (random.uniform() >= drawn.p) continue;
    const double magnitude = drawn.draw_magnitude(random);
    const double argument = argument_at(op, magnitude, random.uniform() < 0.5);
    sample.image = augment(sample.image, op, argument, {filter, fill}, random);
  }
}

void describe(config::Visitor& v, ThreeAugment& c) {
  v("threshold", c.threshold, "Solarize inverts values from here upwards.", between(0, 256));
  v("radius", c.radius, "Smallest and largest radius of the blur in pixels.", at_least(0));
}

void check(const ThreeAugment& c, config::Problems& problems) {
  if (c.radius[0] > c.radius[1]) problems.add("radius", "the smallest is above the largest");
}

void ThreeAugment::apply(Sample& sample, const InputSize&, RandomStream& random) const {
  switch (random.below(3)) {
    case 0:
      sample.image = grayscale(sample.image);
      return;
    case 1:
      sample.image = solarize(sample.image, static_cast<int>(threshold));
      return;
    default:
      sample.image = gaussian_blur(sample.image, random.uniform(radius[0], radius[1]));
  }
}

void describe(config::Visitor& v, ColorJitter& c) {
  v("brightness", c.brightness, "Factors from 1 - this (not below 0) to 1 + this; 0: unchanged.",
    at_least(0));
  v("contrast", c.contrast, "The same.", at_least(0));
  v("saturation", c.saturation, "The same.", at_least(0));
  v("hue", c.hue, "Largest turn of the hue to either side; 1 is the whole circle.",
    between(0, 0.5));
}

void ColorJitter::apply(Sample& sample, const InputSize&, RandomStream& random) const {
  const auto factor = [&](double spread) {
    return random.uniform(std::max(0.0, 1 - spread), 1 + spread);
  };
  std::array<int, 4> order = {0, 1, 2, 3};
  for (int i = 3; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  cv::Mat& image = sample.image;
  for (const int what : order) {
    if (what == 0 && brightness > 0) image = adjust_brightness(image, factor(brightness));
    if (what == 1 && contrast > 0) image = adjust_contrast(image, factor(contrast));
    if (what == 2 && saturation > 0) image = adjust_saturation(image, factor(saturation));
    if (what == 3 && hue > 0) image = adjust_hue(image, random.uniform(-hue, hue));
  }
}

}  // namespace vim::data
