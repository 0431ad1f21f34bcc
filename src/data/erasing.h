// Random erasing: what is drawn.
#pragma once

#include <cstdint>
#include <vector>

#include "vim/data/batch_transforms.h"

namespace vim {
class RandomStream;
}

namespace vim::data {

// Erased rectangles read from random places of a table instead of new numbers each: those of a
// batch would take the host longer than its images.
inline constexpr int64_t kNoise = int64_t{1} << 20;

// One rectangle to be erased.
struct Erasure {
  int64_t row = 0;  // of the batch
  int64_t top = 0, left = 0, height = 0, width = 0;
  int64_t noise = 0;  // where its values stand in the table of `kNoise` normal numbers
};
std::vector<Erasure> draw_erasures(const ErasingConfig& config, int64_t batch, int64_t height,
                                   int64_t width, RandomStream& random);

}  // namespace vim::data
