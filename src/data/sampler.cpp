#include "data/sampler.h"

#include <cstddef>
#include <numeric>
#include <utility>

#include "vim/core/random.h"

namespace vim::data {
namespace {

constexpr int64_t kOfficialMultiple = 256;  // of an epoch's images with repeated augmentation

std::vector<int64_t> permutation(int64_t size, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(seed, Purpose::kSampleOrder, epoch);
  for (int64_t i = size - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  return order;
}

}  // namespace

int64_t TrainingShare::batches() const {
  if (repeats == 1 || size < kOfficialMultiple) return size / (batch_size * world);
  return size / kOfficialMultiple * kOfficialMultiple / world / batch_size;
}

std::vector<Pick> training_order(const TrainingShare& share, uint64_t seed, int64_t epoch) {
  const std::vector<int64_t> order = permutation(share.size, seed, epoch);
  std::vector<Pick> picks(share.batches() * share.batch_size);
  for (std::size_t i = 0; i < picks.size(); ++i) {
    const int64_t place = static_cast<int64_t>(i) * share.world + share.rank;
    picks[i] = {.id = order[place / share.repeats], .repeat = place % share.repeats};
  }
  return picks;
}

std::vector<Pick> evaluation_order(int64_t size, int64_t rank, int64_t world) {
  std::vector<Pick> picks;
  for (int64_t id = rank; id < size; id += world) picks.push_back({.id = id});
  return picks;
}

}  // namespace vim::data
