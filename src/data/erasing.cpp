#include "data/erasing.h"

#include <algorithm>
#include <cmath>

#include "vim/core/random.h"

namespace vim::data {
namespace {

constexpr int kAttempts = 10;

}  // namespace

void describe(config::Visitor& v, ErasingConfig& c) {
  v("p", c.p, "Probability for each image; 0: off.", config::fraction);
  v("mode", c.mode,
    "With what, after normalising: const (0), rand (one normal random colour) or pixel (normal "
    "random numbers).");
  v("area", c.area, "Smallest and largest part of the image, divided by the number of rectangles.",
    config::fraction);
  v("aspect", c.aspect, "Smallest and largest ratio of height to width.", config::positive);
  v("min_count", c.min_count, "Fewest rectangles in an image that has any.", config::at_least(1));
  v("max_count", c.max_count, "Most rectangles in an image.", config::at_least(1));
}

void check(const ErasingConfig& c, config::Problems& problems) {
  if (c.area[0] > c.area[1]) problems.add("area", "the smallest is above the largest");
  if (c.aspect[0] > c.aspect[1]) problems.add("aspect", "the smallest is above the largest");
  if (c.min_count > c.max_count) problems.add("max_count", "is below min_count");
}

std::vector<Erasure> draw_erasures(const ErasingConfig& config, int64_t batch, int64_t height,
                                   int64_t width, RandomStream& random) {
  std::vector<Erasure> result;
  for (int64_t row = 0; row < batch; ++row) {
    if (random.uniform() >= config.p) continue;
    const int64_t count = config.min_count + random.below(config.max_count - config.min_count + 1);
    for (int64_t i = 0; i < count; ++i) {
      for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const double area = random.uniform(config.area[0], config.area[1]) *
                            static_cast<double>(height * width) / static_cast<double>(count);
        const double aspect =
            std::exp(random.uniform(std::log(config.aspect[0]), std::log(config.aspect[1])));
        const int64_t h = std::lrint(std::sqrt(area * aspect));
        const int64_t w = std::lrint(std::sqrt(area / aspect));
        if (h >= height || w >= width) continue;
        const int64_t top = random.below(height - h + 1), left = random.below(width - w + 1);
        if (h > 0 && w > 0) result.push_back({row, top, left, h, w, random.below(kNoise)});
        break;
      }
    }
  }
  return result;
}

}  // namespace vim::data
