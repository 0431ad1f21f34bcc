#include "data/sampler.h"

#include <utility>

namespace vim::data {
namespace {

constexpr int64_t kOfficialMultiple = 256;  // of an epoch's images with repeated augmentation

}  // namespace

int64_t TrainingShare::batches() const {
  if (repeats == 1 || size < kOfficialMultiple) return size / (batch_size * world);
  return size / kOfficialMultiple * kOfficialMultiple / world / batch_size;
}

Order Order::evaluation(int64_t size, int64_t rank, int64_t world) {
  Order order;
  order.size_ = (size - rank + world - 1) / world;
  order.rank_ = rank;
  order.world_ = world;
  return order;
}

Order Order::training(const TrainingShare& share, std::unique_ptr<Shuffle> shuffle) {
  Order order;
  order.size_ = share.batches() * share.batch_size;
  order.rank_ = share.rank;
  order.world_ = share.world;
  order.repeats_ = share.repeats;
  order.shuffle_ = std::move(shuffle);
  return order;
}

Pick Order::at(int64_t i) {
  const int64_t place = i * world_ + rank_;
  const int64_t position = place / repeats_;
  return {.id = shuffle_ ? shuffle_->at(position) : position, .repeat = place % repeats_};
}

std::vector<Stretch> Order::take_upcoming() {
  return shuffle_ ? shuffle_->take_upcoming() : std::vector<Stretch>();
}

std::vector<Pick> training_order(const TrainingShare& share, uint64_t seed, int64_t epoch) {
  Order order = Order::training(share, full_shuffle(share.size, seed, epoch));
  std::vector<Pick> picks;
  for (int64_t i = 0; i < order.size(); ++i) picks.push_back(order.at(i));
  return picks;
}

}  // namespace vim::data
