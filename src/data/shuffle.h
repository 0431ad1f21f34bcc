// Random orders of a data set.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace vim::data {

// Neighbouring images.
struct Stretch {
  int64_t first = 0, count = 0;
  bool operator==(const Stretch&) const = default;
};

// A permutation. One thread at a time.
class Shuffle {
 public:
  virtual ~Shuffle() = default;
  virtual int64_t at(int64_t position) = 0;
  virtual std::vector<Stretch> take_upcoming() { return {}; }  // see Order
};

// Every order is as likely. Four bytes an image.
std::unique_ptr<Shuffle> full_shuffle(int64_t size, uint64_t seed, int64_t epoch);

// For shards, of which `firsts` has the first images: random, and yet each disk reads long
// stretches. The shards in random order make one row, which is cut into kLanes lanes of equal
// length; position p is in lane p % kLanes. A lane is read window by window, each in random order.
// So `window` images are mixed at a time, from kLanes places of the data set, and where the number
// of ranks divides kLanes each rank has lanes of its own. It needs the memory of one window, and
// any position is found without those before it.
inline constexpr int64_t kLanes = 64;
std::unique_ptr<Shuffle> shard_shuffle(int64_t size, const std::vector<int64_t>& firsts,
                                       int64_t window, uint64_t seed, int64_t epoch);

}  // namespace vim::data
