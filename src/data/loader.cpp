#include "vim/data/loader.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <opencv2/core.hpp>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "data/batch_buffers.h"
#include "data/sample_maker.h"
#include "data/sampler.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/data/sample.h"

namespace vim::data {
namespace {

constexpr int64_t kMaxChunk = 16;  // samples that a worker takes at once

// A batch in the making. Guarded by the loader's mutex, but for the rows that a worker has claimed.
struct Slot {
  int64_t index = 0;  // of the batch
  int64_t count = 0;  // samples
  int64_t done = 0;   // of these
  at::Tensor buffer;  // [batch_size, height, width, channels], once the first sample shows the size
  at::Tensor labels, ids;
  std::vector<int64_t> missing;  // rows without an image
  int64_t error_row = 0;
  std::exception_ptr error;  // of the first row that has one, whichever worker was faster

  bool is_ready() const { return done == count; }
};

struct Chunk {
  Slot* slot;
  int64_t begin, end;  // rows
};

// The batch without the rows that are missing.
at::Tensor without(const at::Tensor& rows, const std::vector<int64_t>& missing) {
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    if (!std::ranges::binary_search(missing, i)) kept.push_back(i);
  }
  return rows.index_select(0, at::tensor(kept));
}

}  // namespace

class Loader::Impl {
 public:
  Impl(std::unique_ptr<const Dataset> dataset, Pipeline pipeline, const LoaderOptions& options);

  const Dataset& dataset() const { return samples_.dataset(); }
  int64_t workers() const { return options_.workers; }
  int64_t batches_per_epoch() const;
  void begin(int64_t epoch, int64_t first_batch);
  std::optional<Batch> next();
  double waited_seconds() const { return waited_; }
  int64_t skipped() const { return samples_.skipped(); }

 private:
  TrainingShare training_share() const;
  std::vector<Pick> order(int64_t epoch) const;
  void work(const std::stop_token& stop);
  bool has_work() const;
  Chunk claim();
  void start(Slot& slot);
  void fill(const Chunk& chunk, const std::stop_token& stop);
  void make_row(Slot& slot, int64_t row);
  uint8_t* row_pixels(Slot& slot, int64_t row, const Sample& sample);
  Slot& wait_for_next();
  Batch batch_of(const Slot& slot) const;

  const LoaderOptions options_;
  const int64_t chunk_;
  SampleMaker samples_;

  mutable std::mutex mutex_;
  std::condition_variable_any work_;   // there is something to claim
  std::condition_variable_any ready_;  // a batch is complete, or no worker is active
  std::vector<Slot> slots_;            // batch k is made in slot k % size
  BatchBuffers buffers_;
  std::vector<Pick> order_;
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
      chunk_(std::clamp<int64_t>(options.batch_size / (2 * options.workers), 1, kMaxChunk)),
      samples_(std::move(dataset), std::move(pipeline), options),
      slots_(options.prefetch),
      buffers_(options.prefetch + 2, options.pin_memory) {
  VIM_CHECK(options.batch_size >= 1 && options.workers >= 1 && options.prefetch >= 1);
  VIM_CHECK(options.rank >= 0 && options.rank < options.world);
  cv::setNumThreads(0);  // the workers are the threads
  for (int64_t i = 0; i < options.workers; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

int64_t Loader::Impl::batches_per_epoch() const {
  if (options_.training) return training_share().batches();
  const int64_t size = dataset().size(), world = options_.world;
  const int64_t share = (size - options_.rank + world - 1) / world;
  return (share + options_.batch_size - 1) / options_.batch_size;
}

TrainingShare Loader::Impl::training_share() const {
  const auto& o = options_;
  return {dataset().size(), o.batch_size, o.repeats, o.rank, o.world};
}

std::vector<Pick> Loader::Impl::order(int64_t epoch) const {
  const auto& o = options_;
  if (!o.training) return evaluation_order(dataset().size(), o.rank, o.world);
  return training_order(training_share(), o.seed, epoch);
}

void Loader::Impl::begin(int64_t epoch, int64_t first_batch) {
  const int64_t batches = batches_per_epoch();
  VIM_CHECK(first_batch >= 0 && first_batch <= batches);
  std::vector<Pick> picks = order(epoch);
  std::unique_lock lock(mutex_);
  next_ = end_;  // nothing more to claim
  ready_.wait(lock, [this] { return active_ == 0; });
  order_ = std::move(picks);
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
    if (slot.error) std::rethrow_exception(slot.error);
    std::optional<Batch> batch;
    if (static_cast<int64_t>(slot.missing.size()) < slot.count) batch = batch_of(slot);
    {
      const std::lock_guard lock(mutex_);
      slot.buffer.reset();
      ++delivered_;
    }
    work_.notify_all();
    if (batch) return batch;
  }
  return std::nullopt;
}

Batch Loader::Impl::batch_of(const Slot& slot) const {
  Batch batch = {slot.buffer.narrow(0, 0, slot.count), slot.labels, slot.ids, epoch_, slot.index};
  if (slot.missing.empty()) return batch;
  std::vector<int64_t> missing = slot.missing;
  std::ranges::sort(missing);
  for (at::Tensor* tensor : {&batch.images, &batch.labels, &batch.ids}) {
    *tensor = without(*tensor, missing);
  }
  return batch;
}

void Loader::Impl::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (work_.wait(lock, stop, [this] { return has_work(); }) && !stop.stop_requested()) {
    const Chunk chunk = claim();
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
  if (next_row_ == 0) start(slot);
  const Chunk chunk = {&slot, next_row_, std::min(next_row_ + chunk_, slot.count)};
  next_row_ = chunk.end;
  if (next_row_ == slot.count) {
    ++next_;
    next_row_ = 0;
  }
  return chunk;
}

void Loader::Impl::start(Slot& slot) {
  const int64_t left = static_cast<int64_t>(order_.size()) - next_ * options_.batch_size;
  slot = Slot{};
  slot.index = next_;
  slot.count = std::min(options_.batch_size, left);
  slot.labels = at::empty({slot.count}, at::kLong);
  slot.ids = at::empty({slot.count}, at::kLong);
}

void Loader::Impl::fill(const Chunk& chunk, const std::stop_token& stop) {
  for (int64_t row = chunk.begin; row < chunk.end && !stop.stop_requested(); ++row) {
    try {
      make_row(*chunk.slot, row);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!chunk.slot->error || row < chunk.slot->error_row) {
        chunk.slot->error = std::current_exception();
        chunk.slot->error_row = row;
      }
      return;
    }
  }
}

void Loader::Impl::make_row(Slot& slot, int64_t row) {
  const Pick pick = order_[slot.index * options_.batch_size + row];
  const std::optional<Sample> sample = samples_.make(pick, epoch_);
  if (!sample) {
    const std::lock_guard lock(mutex_);
    slot.missing.push_back(row);
    return;
  }
  const cv::Mat& image = sample->image;
  uint8_t* pixels = row_pixels(slot, row, *sample);
  const size_t bytes = image.cols * image.elemSize();
  for (int y = 0; y < image.rows; ++y) std::memcpy(pixels + y * bytes, image.ptr(y), bytes);
  slot.labels.mutable_data_ptr<int64_t>()[row] = sample->label;
  slot.ids.mutable_data_ptr<int64_t>()[row] = sample->id;
}

uint8_t* Loader::Impl::row_pixels(Slot& slot, int64_t row, const Sample& sample) {
  const cv::Mat& image = sample.image;
  const std::vector<int64_t> shape = {options_.batch_size, image.rows, image.cols,
                                      image.channels()};
  const std::lock_guard lock(mutex_);
  if (!slot.buffer.defined()) slot.buffer = buffers_.take(shape);
  if (slot.buffer.sizes() != at::IntArrayRef(shape)) {
    throw Error(concat(dataset().name(sample.id), ": has ", image.cols, " x ", image.rows,
                       " pixels after the transforms where others have ", slot.buffer.size(2),
                       " x ", slot.buffer.size(1), "; let ",
                       options_.training ? "data.train_transforms" : "data.eval_transforms",
                       " end with one that fixes the size"));
  }
  return slot.buffer.mutable_data_ptr<uint8_t>() +
         row * static_cast<int64_t>(image.total() * image.elemSize());
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
int64_t Loader::workers() const {
  return impl_->workers();
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
