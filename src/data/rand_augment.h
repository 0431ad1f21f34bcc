// timm's RandAugment strings: rand-m9-mstd0.5-inc1.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "vim/data/augment_op.h"

namespace vim::data {

// RandAugment: Cubuk et al., arXiv 1909.13719. Sections after `rand`, in any order:
//   m9       magnitude, 0..10                     n2     operations an image
//   mstd0.5  standard deviation of the magnitude; above 100: uniform from 0 to m
//   mmax15   where the magnitude is cut off       p0.5   probability of each operation
//   inc1     operations whose effect grows with the magnitude
//   tweights, t3a, t3aw   another set of operations
struct RandAugmentPolicy {
  struct Choice {
    AugmentOp op;
    double weight;
  };

  std::vector<Choice> choices;
  bool weighted = false;  // drawn by weight, none twice; else with equal chances, perhaps twice
  double magnitude = 10;
  double deviation = 0;
  double largest = 10;
  int64_t count = 2;
  double p = 0.5;

  // The operations for one image, in order.
  std::vector<AugmentOp> draw(RandomStream& random) const;
  double draw_magnitude(RandomStream& random) const;
};

// Throws Error with the reason.
RandAugmentPolicy parse_rand_augment(std::string_view text);

}  // namespace vim::data
