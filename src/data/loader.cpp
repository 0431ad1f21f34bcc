#include "vim/data/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <opencv2/core.hpp>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "data/batch_buffers.h"
#include "data/batch_slot.h"
#include "data/resources.h"
#include "data/sample_maker.h"
#include "data/sampler.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/data/sample.h"

namespace vim::data {
namespace {

// A batch in the making, and how far it is. The counts are guarded by the loader's mutex.
struct Slot {
  Slot(BatchBuffers& buffers, int64_t batch_size) : batch(buffers, batch_size) {}
  BatchSlot batch;
  int64_t done = 0;  // rows
  bool is_ready() const { return done == batch.size(); }
};

struct Chunk {
  Slot* slot;
  int64_t begin, end;  // rows
  std::vector<Stretch> upcoming;
};

}  // namespace

class Loader::Impl {
 public:
  Impl(std::unique_ptr<const Dataset> dataset, Pipeline pipeline, const LoaderOptions& options);

  const Dataset& dataset() const { return samples_.dataset(); }
  const LoaderOptions& options() const { return options_; }
  int64_t batches_per_epoch() const;
  void begin(int64_t epoch, int64_t first_batch);
  std::optional<Batch> next();
  double waited_seconds() const { return waited_; }
  int64_t skipped() const { return samples_.skipped(); }

 private:
  TrainingShare training_share() const;
  Order order(int64_t epoch) const;
  void work(const std::stop_token& stop);
  bool has_work() const;
  Chunk claim();
  void start(Slot& slot);
  void fill(const Chunk& chunk, const std::stop_token& stop);
  void make_row(BatchSlot& batch, int64_t row);
  Slot& wait_for_next();

  const LoaderOptions options_;
  const int64_t chunk_;
  SampleMaker samples_;
  const std::vector<int64_t> shards_;

  mutable std::mutex mutex_;
  std::condition_variable_any work_;   // there is something to claim
  std::condition_variable_any ready_;  // a batch is complete, or no worker is active
  BatchBuffers buffers_;
  std::deque<Slot> slots_;  // batch k is made in slot k % size
  Order order_;
  int64_t epoch_ = 0;
  int64_t delivered_ = 0;            // batches before this one are the caller's
  int64_t next_ = 0, next_row_ = 0;  // to be claimed
  int64_t end_ = 0;                  // batches of the epoch
  int64_t active_ = 0;               // workers that are filling a chunk
  double waited_ = 0;                // the caller's thread only

  std::vector<std::jthread> threads_;  // last: they stop and join before anything else goes
};

Loader::Impl::Impl(std::unique_ptr<const Dataset> dataset, Pipeline pipeline,
                   const LoaderOptions& options)
    : options_(options),
      chunk_(chunk_of(options.batch_size, options.workers)),
      samples_(std::move(dataset), std::move(pipeline), options),
      shards_(samples_.dataset().shards()),
      buffers_(options.prefetch + 2, options.pin_memory) {
  VIM_CHECK(options.batch_size >= 1 && options.workers >= 1 && options.prefetch >= 1);
  VIM_CHECK(options.rank >= 0 && options.rank < options.world);
  cv::setNumThreads(0);  // the workers are the threads
  for (int64_t i = 0; i < options.prefetch; ++i) slots_.emplace_back(buffers_, options.batch_size);
  for (int64_t i = 0; i < options.workers; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

int64_t Loader::Impl::batches_per_epoch() const {
  if (options_.training) return training_share().batches();
  const int64_t size = Order::evaluation(dataset().size(), options_.rank, options_.world).size();
  return (size + options_.batch_size - 1) / options_.batch_size;
}

TrainingShare Loader::Impl::training_share() const {
  const auto& o = options_;
  return {dataset().size(), o.batch_size, o.repeats, o.rank, o.world};
}

Order Loader::Impl::order(int64_t epoch) const {
  const auto& o = options_;
  const int64_t size = dataset().size();
  if (!o.training) return Order::evaluation(size, o.rank, o.world);
  return Order::training(training_share(),
                         shards_.empty()
                             ? full_shuffle(size, o.seed, epoch)
                             : shard_shuffle(size, shards_, o.shuffle_window, o.seed, epoch));
}

void Loader::Impl::begin(int64_t epoch, int64_t first_batch) {
  const int64_t batches = batches_per_epoch();
  VIM_CHECK(first_batch >= 0 && first_batch <= batches);
  Order order_of_epoch = order(epoch);
  std::unique_lock lock(mutex_);
  next_ = end_;  // nothing more to claim
  ready_.wait(lock, [this] { return active_ == 0; });
  order_ = std::move(order_of_epoch);
  epoch_ = epoch;
  delivered_ = next_ = first_batch;
  next_row_ = 0;
  end_ = batches;
  work_.notify_all();
}

Slot& Loader::Impl::wait_for_next() {
  std::unique_lock lock(mutex_);
  Slot& slot = slots_[delivered_ % slots_.size()];
  const auto is_ready = [&] { return next_ > delivered_ && slot.is_ready(); };
  if (!is_ready()) {
    const auto start = std::chrono::steady_clock::now();
    ready_.wait(lock, is_ready);
    waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return slot;
}

std::optional<Batch> Loader::Impl::next() {
  while (delivered_ < end_) {
    Slot& slot = wait_for_next();
    std::optional<Batch> batch = slot.batch.finish(epoch_);
    slot.batch.release();
    {
      const std::lock_guard lock(mutex_);
      ++delivered_;
    }
    work_.notify_all();
    if (batch) return batch;
  }
  return std::nullopt;
}

void Loader::Impl::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (work_.wait(lock, stop, [this] { return has_work(); }) && !stop.stop_requested()) {
    Chunk chunk = claim();
    ++active_;
    lock.unlock();
    fill(chunk, stop);
    lock.lock();
    --active_;
    chunk.slot->done += chunk.end - chunk.begin;
    if (chunk.slot->is_ready() || active_ == 0) ready_.notify_all();
  }
}

bool Loader::Impl::has_work() const {
  return next_ < end_ && next_ < delivered_ + static_cast<int64_t>(slots_.size());
}

Chunk Loader::Impl::claim() {
  Slot& slot = slots_[next_ % slots_.size()];
  Chunk chunk = {&slot, next_row_, 0, {}};
  if (next_row_ == 0) {
    start(slot);
    chunk.upcoming = order_.take_upcoming();
  }
  chunk.end = next_row_ = std::min(chunk.begin + chunk_, slot.batch.size());
  if (next_row_ == slot.batch.size()) {
    ++next_;
    next_row_ = 0;
  }
  return chunk;
}

void Loader::Impl::start(Slot& slot) {
  std::vector<Pick> picks;
  const int64_t begin = next_ * options_.batch_size;
  const int64_t end = std::min(begin + options_.batch_size, order_.size());
  for (int64_t i = begin; i < end; ++i) picks.push_back(order_.at(i));
  slot.batch.start(next_, std::move(picks));
  slot.done = 0;
}

void Loader::Impl::fill(const Chunk& chunk, const std::stop_token& stop) {
  for (const Stretch& stretch : chunk.upcoming) dataset().will_read(stretch.first, stretch.count);
  for (int64_t row = chunk.begin; row < chunk.end && !stop.stop_requested(); ++row) {
    try {
      make_row(chunk.slot->batch, row);
    } catch (...) {
      chunk.slot->batch.fail(row, std::current_exception());
      return;
    }
  }
}

void Loader::Impl::make_row(BatchSlot& batch, int64_t row) {
  const std::optional<Sample> sample = samples_.make(batch.pick(row), epoch_);
  if (!sample) return batch.leave_out(row);
  if (batch.put(row, *sample)) return;
  const cv::Size others = batch.image_size();
  throw Error(concat(dataset().name(sample->id), ": has ", sample->image.cols, " x ",
                     sample->image.rows, " pixels after the transforms where others have ",
                     others.width, " x ", others.height, "; let ",
                     options_.training ? "data.train_transforms" : "data.eval_transforms",
                     " end with one that fixes the size"));
}

Loader::Loader(std::unique_ptr<const Dataset> dataset, Pipeline pipeline,
               const LoaderOptions& options)
    : impl_(std::make_unique<Impl>(std::move(dataset), std::move(pipeline), options)) {}
Loader::~Loader() = default;

const Dataset& Loader::dataset() const {
  return impl_->dataset();
}
int64_t Loader::batches_per_epoch() const {
  return impl_->batches_per_epoch();
}
const LoaderOptions& Loader::options() const {
  return impl_->options();
}
void Loader::begin(int64_t epoch, int64_t first_batch) {
  impl_->begin(epoch, first_batch);
}
std::optional<Batch> Loader::next() {
  return impl_->next();
}
double Loader::waited_seconds() const {
  return impl_->waited_seconds();
}
int64_t Loader::skipped() const {
  return impl_->skipped();
}

}  // namespace vim::data
