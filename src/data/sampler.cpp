#include "data/sampler.h"

#include <numeric>
#include <utility>

#include "vim/core/random.h"

namespace vim::data {
namespace {

std::vector<int64_t> permutation(int64_t size, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(seed, Purpose::kSampleOrder, epoch);
  for (int64_t i = size - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  return order;
}

}  // namespace

std::vector<Pick> training_order(int64_t size, int64_t batch_size, uint64_t seed, int64_t epoch,
                                 int64_t rank, int64_t world) {
  const std::vector<int64_t> order = permutation(size, seed, epoch);
  const int64_t share = size / (batch_size * world) * batch_size;
  std::vector<Pick> picks(share);
  for (int64_t i = 0; i < share; ++i) picks[i].id = order[i * world + rank];
  return picks;
}

std::vector<Pick> evaluation_order(int64_t size, int64_t rank, int64_t world) {
  std::vector<Pick> picks;
  for (int64_t id = rank; id < size; id += world) picks.push_back({.id = id});
  return picks;
}

}  // namespace vim::data
