#include "data/shuffle.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "vim/core/error.h"
#include "vim/core/random.h"

namespace vim::data {
namespace {

template <class T>
void shuffle(std::vector<T>& values, RandomStream random) {
  for (int64_t i = std::ssize(values) - 1; i > 0; --i) {
    std::swap(values[i], values[random.below(i + 1)]);
  }
}

template <class T>
std::vector<T> permutation(int64_t size, const RandomStream& random) {
  std::vector<T> order(size);
  std::iota(order.begin(), order.end(), T{0});
  shuffle(order, random);
  return order;
}

template <class T>
class FullShuffle final : public Shuffle {
 public:
  FullShuffle(int64_t size, const RandomStream& random) : order_(permutation<T>(size, random)) {}
  int64_t at(int64_t position) override { return static_cast<int64_t>(order_[position]); }

 private:
  std::vector<T> order_;
};

class ShardShuffle final : public Shuffle {
 public:
  ShardShuffle(int64_t size, const std::vector<int64_t>& firsts, int64_t window, uint64_t seed,
               int64_t epoch)
      : size_(size),
        window_(std::max<int64_t>(1, window / kLanes)),
        seed_(seed),
        epoch_(static_cast<uint64_t>(epoch)) {
    VIM_CHECK(!firsts.empty() && firsts[0] == 0 && firsts.back() < size);
    const auto order = permutation<int64_t>(std::ssize(firsts), stream(0));
    int64_t start = 0;
    for (const int64_t shard : order) {
      const int64_t end = shard + 1 < std::ssize(firsts) ? firsts[shard + 1] : size;
      row_.push_back({start, firsts[shard]});
      start += end - firsts[shard];
    }
  }

  int64_t at(int64_t position) override {
    const int64_t number = position % kLanes, offset = position / kLanes;
    const int64_t window = (offset + shift(number)) / window_;
    Lane& lane = lanes_[number];
    if (lane.window != window) enter(number, window);
    if (offset >= lane.announce_next_at) {
      announce(number, window + 1);
      lane.announce_next_at = size_;
    }
    return id_at(lane_begin(number) + lane.begin + lane.order[offset - lane.begin]);
  }

  std::vector<Stretch> take_upcoming() override { return std::exchange(upcoming_, {}); }

 private:
  // What a lane is at.
  struct Lane {
    int64_t window = -1;
    int64_t begin = 0;             // of the window in the lane
    int64_t announce_next_at = 0;  // the window's middle, then never
    std::vector<int32_t> order;    // in the window
  };
  struct Shard {
    int64_t start, first;  // in the row, in the data set
  };

  RandomStream stream(uint64_t index) const {
    return RandomStream(seed_, Purpose::kSampleOrder, epoch_, index);
  }

  // Positions go round the lanes, so the first ones are longer by one.
  int64_t lane_begin(int64_t lane) const {
    return lane * (size_ / kLanes) + std::min(lane, size_ % kLanes);
  }
  int64_t lane_size(int64_t lane) const { return lane_begin(lane + 1) - lane_begin(lane); }

  // Lanes come to the ends of their windows one after another, for an even load on the disk.
  int64_t shift(int64_t lane) const { return window_ * lane / kLanes; }

  // Offsets in the lane; nothing left after its end.
  std::pair<int64_t, int64_t> window_in_lane(int64_t lane, int64_t window) const {
    const int64_t begin = window * window_ - shift(lane), size = lane_size(lane);
    return {std::clamp<int64_t>(begin, 0, size), std::clamp<int64_t>(begin + window_, 0, size)};
  }

  void enter(int64_t number, int64_t window) {
    Lane& lane = lanes_[number];
    const bool was_announced = window == lane.window + 1 && lane.announce_next_at == size_;
    if (!was_announced) announce(number, window);
    const auto [begin, end] = window_in_lane(number, window);
    const auto index = static_cast<uint64_t>(window * kLanes + number + 1);
    lane = {window, begin, (begin + end) / 2, permutation<int32_t>(end - begin, stream(index))};
  }

  void announce(int64_t number, int64_t window) {
    const auto [begin, end] = window_in_lane(number, window);
    int64_t at = lane_begin(number) + begin, left = end - begin;
    while (left > 0) {
      const auto next = std::ranges::upper_bound(row_, at, {}, &Shard::start);
      const int64_t end_of_shard = next == row_.end() ? size_ : next->start;
      const int64_t count = std::min(left, end_of_shard - at);
      upcoming_.push_back({id_at(at), count});
      at += count;
      left -= count;
    }
  }

  int64_t id_at(int64_t place) const {
    const Shard& shard = *std::prev(std::ranges::upper_bound(row_, place, {}, &Shard::start));
    return shard.first + place - shard.start;
  }

  int64_t size_, window_;
  uint64_t seed_, epoch_;
  std::vector<Shard> row_;
  std::array<Lane, kLanes> lanes_;
  std::vector<Stretch> upcoming_;
};

}  // namespace

std::unique_ptr<Shuffle> full_shuffle(int64_t size, uint64_t seed, int64_t epoch) {
  const RandomStream random(seed, Purpose::kSampleOrder, static_cast<uint64_t>(epoch));
  if (size <= std::numeric_limits<uint32_t>::max()) {
    return std::make_unique<FullShuffle<uint32_t>>(size, random);
  }
  return std::make_unique<FullShuffle<uint64_t>>(size, random);
}

std::unique_ptr<Shuffle> shard_shuffle(int64_t size, const std::vector<int64_t>& firsts,
                                       int64_t window, uint64_t seed, int64_t epoch) {
  if (window >= size) return full_shuffle(size, seed, epoch);
  return std::make_unique<ShardShuffle>(size, firsts, window, seed, epoch);
}

}  // namespace vim::data
