// Which image comes when.
#pragma once

#include <cstdint>
#include <vector>

namespace vim::data {

// One use of an image.
struct Pick {
  int64_t id = 0;
  int64_t repeat = 0;  // which of its augmentations in this epoch
  bool operator==(const Pick&) const = default;
};

// How an epoch of training is divided. Every rank gets as many full batches; what is left is
// another epoch's.
struct TrainingShare {
  int64_t size = 0;  // of the data set
  int64_t batch_size = 1;
  int64_t repeats = 1;
  int64_t rank = 0;
  int64_t world = 1;
  int64_t batches() const;  // of each rank
};

// A rank's share of an epoch, a function of the arguments alone. The images of all ranks' k-th
// batches are one stretch of the epoch's random order, whatever the number of ranks; in that order,
// an image's repeats follow each other, so that they go to different ranks (Hoffer et al., arXiv
// 1901.09335, as DeiT's RASampler).
std::vector<Pick> training_order(const TrainingShare& share, uint64_t seed, int64_t epoch);

// Every image once over the ranks, in order; shares differ by one at most.
std::vector<Pick> evaluation_order(int64_t size, int64_t rank, int64_t world);

}  // namespace vim::data
