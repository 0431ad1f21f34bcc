// Which image comes when.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/shuffle.h"

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

// A rank's share of an epoch, a function of the arguments alone. One thread at a time.
class Order {
 public:
  // Every image once over the ranks, in order; shares differ by one at most.
  static Order evaluation(int64_t size, int64_t rank, int64_t world);

  // The images of all ranks' k-th batches are one stretch of the shuffle, whatever the number of
  // ranks; in it, an image's repeats follow each other, so that they go to different ranks (Hoffer
  // et al., arXiv 1901.09335, as DeiT's RASampler).
  static Order training(const TrainingShare& share, std::unique_ptr<Shuffle> shuffle);

  Order() = default;  // of nothing
  int64_t size() const { return size_; }
  Pick at(int64_t i);

  // Stretches of the data set that what was asked for so far says will be needed; each once.
  std::vector<Stretch> take_upcoming();

 private:
  int64_t size_ = 0;
  int64_t rank_ = 0, world_ = 1, repeats_ = 1;
  std::unique_ptr<Shuffle> shuffle_;  // none: in order
};

// All of a rank's share where any order is as good.
std::vector<Pick> training_order(const TrainingShare& share, uint64_t seed, int64_t epoch);

}  // namespace vim::data
