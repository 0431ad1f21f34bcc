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

// A rank's share of an epoch, a function of the arguments alone. The images of all ranks' k-th
// batches are one stretch of the epoch's random order, whatever the number of ranks. Every rank
// gets as many full batches; the images that are left are another epoch's.
std::vector<Pick> training_order(int64_t size, int64_t batch_size, uint64_t seed, int64_t epoch,
                                 int64_t rank, int64_t world);

// Every image once over the ranks, in order; shares differ by one at most.
std::vector<Pick> evaluation_order(int64_t size, int64_t rank, int64_t world);

}  // namespace vim::data
