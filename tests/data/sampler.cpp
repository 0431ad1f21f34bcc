#include "data/sampler.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "support/support.h"

using vim::data::Order;
using vim::data::Pick;
using vim::data::training_order;
using vim::data::TrainingShare;

namespace {

std::multiset<int64_t> ids(const std::vector<Pick>& picks) {
  std::multiset<int64_t> result;
  for (const Pick& pick : picks) result.insert(pick.id);
  return result;
}

}  // namespace

TEST_CASE("Ranks train on different images, as many each, and on nearly all") {
  const uint64_t seed = vim::test::fresh_seed();
  for (const int64_t world : {1, 2, 3, 8}) {
    std::multiset<int64_t> seen;
    for (int64_t rank = 0; rank < world; ++rank) {
      const auto picks = training_order({1000, 7, 1, rank, world}, seed, 4);
      CHECK(static_cast<int64_t>(picks.size()) == 1000 / (7 * world) * 7);
      seen.merge(ids(picks));
    }
    CHECK(std::set(seen.begin(), seen.end()).size() == seen.size());
    CHECK(static_cast<int64_t>(seen.size()) == 1000 / (7 * world) * 7 * world);
  }
}

TEST_CASE("A step trains on the same images whatever the number of ranks") {
  const auto alone = training_order({640, 32, 1, 0, 1}, 5, 1);
  for (int64_t step = 0; step < 20; ++step) {
    std::multiset<int64_t> seen;
    for (int64_t rank = 0; rank < 4; ++rank) {
      const auto picks = training_order({640, 8, 1, rank, 4}, 5, 1);
      seen.merge(ids({picks.begin() + step * 8, picks.begin() + (step + 1) * 8}));
    }
    CHECK(seen == ids({alone.begin() + step * 32, alone.begin() + (step + 1) * 32}));
  }
}

TEST_CASE("The order is a function of the seed and the epoch, and of each of them") {
  const auto order = training_order({100, 10, 1, 0, 1}, 1, 2);
  CHECK(order == training_order({100, 10, 1, 0, 1}, 1, 2));
  CHECK(order != training_order({100, 10, 1, 0, 1}, 2, 2));
  CHECK(order != training_order({100, 10, 1, 0, 1}, 1, 3));
}

TEST_CASE("Every position is as likely for an image as any other") {
  constexpr int kSize = 8, kEpochs = 20000;
  const uint64_t seed = vim::test::fresh_seed();
  std::vector<std::vector<int>> counts(kSize, std::vector<int>(kSize));
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const auto order = training_order({kSize, 1, 1, 0, 1}, seed, epoch);
    for (int i = 0; i < kSize; ++i) ++counts[i][order[i].id];
  }
  const double mean = kEpochs / double{kSize};
  for (const auto& row : counts) {
    for (const int count : row)
      CHECK(std::abs(count - mean) < 6 * std::sqrt(mean * (1 - 1.0 / kSize)));
  }
}

TEST_CASE("Evaluation covers every image once over the ranks") {
  for (const int64_t world : {1, 2, 3, 7, 20}) {
    std::multiset<int64_t> seen;
    for (int64_t rank = 0; rank < world; ++rank) {
      Order order = Order::evaluation(13, rank, world);
      for (int64_t i = 0; i < order.size(); ++i) seen.insert(order.at(i).id);
    }
    CHECK(seen.size() == 13);
    CHECK(std::set(seen.begin(), seen.end()).size() == 13);
  }
}

TEST_CASE("Repeated augmentation follows DeiT's sampler: its length, and repeats on other ranks") {
  // ImageNet on 8 processes of 128 and of 64 images: 1251 and 2502 steps an epoch.
  CHECK(TrainingShare{1281167, 128, 3, 0, 8}.batches() == 1251);
  CHECK(TrainingShare{1281167, 64, 3, 7, 8}.batches() == 2502);
  CHECK(TrainingShare{1000, 8, 3, 0, 1}.batches() == 96);  // of 768 images
  CHECK(TrainingShare{100, 8, 3, 0, 1}.batches() == 12);   // too few for multiples of 256

  std::map<int64_t, std::set<int64_t>> repeats;
  for (int64_t rank = 0; rank < 3; ++rank) {
    std::set<int64_t> of_rank;
    for (const Pick& pick : training_order({1024, 4, 3, rank, 3}, 9, 2)) {
      CHECK(repeats[pick.id].insert(pick.repeat).second);
      of_rank.insert(pick.id);
    }
    CHECK(of_rank.size() == 340);
  }
  CHECK(repeats.size() == 340);
  for (const auto& [id, seen] : repeats) CHECK(seen == std::set<int64_t>{0, 1, 2});
}
