#include "data/shuffle.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <set>

#include "data/sampler.h"
#include "support/support.h"
#include "vim/core/random.h"

using namespace vim::data;
using vim::test::fresh_seed;

namespace {

std::vector<int64_t> all_of(Shuffle& shuffle, int64_t size) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < size; ++i) order.push_back(shuffle.at(i));
  return order;
}

// Shards of 1 to 2 * mean images.
std::vector<int64_t> shards(int64_t size, int64_t mean, uint64_t seed) {
  vim::RandomStream random(seed, vim::Purpose::kInit);
  std::vector<int64_t> firsts;
  for (int64_t at = 0; at < size; at += 1 + random.below(2 * mean)) firsts.push_back(at);
  return firsts;
}

size_t shard_of(const std::vector<int64_t>& firsts, int64_t id) {
  return std::ranges::upper_bound(firsts, id) - firsts.begin() - 1;
}

}  // namespace

TEST_CASE("Every shuffle has each image once, and any position is found without the others") {
  const uint64_t seed = fresh_seed();
  for (const int64_t size : {1, 2, 63, 64, 65, 1000, 20011}) {
    for (const int64_t window : {1, 64, 640, 5000, 20010, 1 << 20}) {
      CAPTURE(size, window);
      const auto firsts = shards(size, 100, seed);
      const auto make = [&] { return shard_shuffle(size, firsts, window, seed, 3); };
      const std::vector<int64_t> order = all_of(*make(), size);
      std::vector<int64_t> sorted = order, expected(size);
      std::ranges::sort(sorted);
      std::iota(expected.begin(), expected.end(), 0);
      CHECK(sorted == expected);
      const auto again = make();
      for (int64_t i = size - 1; i >= 0; i -= 7) CHECK(again->at(i) == order[i]);
    }
  }
}

TEST_CASE("A shuffle of shards is a function of the seed and the epoch, and of each of them") {
  const auto firsts = shards(5000, 100, 1);
  const auto order = [&](uint64_t seed, int64_t epoch) {
    return all_of(*shard_shuffle(5000, firsts, 640, seed, epoch), 5000);
  };
  CHECK(order(1, 2) == order(1, 2));
  CHECK(order(1, 2) != order(2, 2));
  CHECK(order(1, 2) != order(1, 3));
}

TEST_CASE("Images are taken from the announced stretches, which are long and each announced once") {
  const uint64_t seed = fresh_seed();
  constexpr int64_t kSize = 100'000, kWindow = 6400;
  const auto firsts = shards(kSize, 500, seed);
  const auto shuffle = shard_shuffle(kSize, firsts, kWindow, seed, 0);
  std::set<int64_t> announced;
  int64_t stretches = 0;
  for (int64_t position = 0; position < kSize; ++position) {
    const int64_t id = shuffle->at(position);
    for (const Stretch& stretch : shuffle->take_upcoming()) {
      CHECK(shard_of(firsts, stretch.first) == shard_of(firsts, stretch.first + stretch.count - 1));
      ++stretches;
      for (int64_t i = 0; i < stretch.count; ++i) {
        if (!announced.insert(stretch.first + i).second) FAIL("announced twice");
      }
    }
    if (!announced.contains(id)) FAIL("not announced");
    // No more than two windows ahead.
    if (std::ssize(announced) > position + 1 + 2 * kWindow) FAIL("announced too early");
  }
  CHECK(std::ssize(announced) == kSize);
  // A window's edge, a lane's or a shard's ends a stretch.
  CHECK(stretches <= kSize / (kWindow / kLanes) + 2 * kLanes + std::ssize(firsts));
}

TEST_CASE("Neighbours of a shard are mixed with the rest of the window") {
  const uint64_t seed = fresh_seed();
  constexpr int64_t kSize = 200'000, kWindow = 16384, kBatch = 1024;
  const auto firsts = shards(kSize, 1000, seed);  // 200 shards
  const auto shuffle = shard_shuffle(kSize, firsts, kWindow, seed, 0);
  for (int64_t batch = 0; batch < 50; ++batch) {
    std::map<size_t, int64_t> of_shard;
    std::set<int64_t> ids;
    for (int64_t i = 0; i < kBatch; ++i) {
      const int64_t id = shuffle->at(batch * kBatch + i);
      ++of_shard[shard_of(firsts, id)];
      ids.insert(id);
    }
    CHECK(of_shard.size() >= 40);
    for (const auto& [shard, count] : of_shard) CHECK(count < kBatch / 8);
    // 16 of 256 neighbours in random order: rarely more than a few stand together.
    int64_t together = 0;
    for (const int64_t id : ids) together += ids.contains(id + 1);
    CHECK(together < kBatch / 4);
  }
}

TEST_CASE("Ranks that divide the lanes read from shards of their own, and share none of an image") {
  const uint64_t seed = fresh_seed();
  constexpr int64_t kSize = 64'000, kBatch = 10;
  std::vector<int64_t> firsts;
  for (int64_t at = 0; at < kSize; at += 1000) firsts.push_back(at);  // a shard a lane
  for (const int64_t world : {1, 2, 8, 3, 5}) {
    CAPTURE(world);
    std::vector<int64_t> seen;
    std::vector<std::set<size_t>> shards_of_rank(world);
    for (int64_t rank = 0; rank < world; ++rank) {
      Order order = Order::training({kSize, kBatch, 1, rank, world},
                                    shard_shuffle(kSize, firsts, 6400, seed, 1));
      for (int64_t i = 0; i < order.size(); ++i) {
        seen.push_back(order.at(i).id);
        shards_of_rank[rank].insert(shard_of(firsts, seen.back()));
      }
    }
    std::ranges::sort(seen);
    CHECK(std::ranges::adjacent_find(seen) == seen.end());
    CHECK(std::ssize(seen) == kSize / (kBatch * world) * kBatch * world);
    if (kLanes % world == 0) {
      for (const auto& set : shards_of_rank) CHECK(std::ssize(set) == kLanes / world);
    }
  }
}

TEST_CASE("A step trains on the same images of shards whatever the number of ranks") {
  const auto firsts = shards(6400, 50, 1);
  const auto ids = [&](int64_t world, int64_t step) {
    std::multiset<int64_t> result;
    for (int64_t rank = 0; rank < world; ++rank) {
      const int64_t batch = 40 / world;
      Order order =
          Order::training({6400, batch, 1, rank, world}, shard_shuffle(6400, firsts, 640, 5, 1));
      for (int64_t i = 0; i < batch; ++i) result.insert(order.at(step * batch + i).id);
    }
    return result;
  };
  for (int64_t step = 0; step < 160; step += 3) {
    CHECK(ids(1, step) == ids(4, step));
    CHECK(ids(1, step) == ids(5, step));
  }
}
