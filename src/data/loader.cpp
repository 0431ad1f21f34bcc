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
#include <set>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "data/sampler.h"
#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/sample.h"

namespace vim::data {
namespace {

constexpr int64_t kMaxChunk = 16;          // samples that a worker takes at once
constexpr int64_t kMaxReplacements = 100;  // tries before a data set counts as unreadable

// A batch in the making. Guarded by the loader's mutex, but for the rows that a worker has claimed.
struct Slot {
  int64_t index = 0;  // of the batch
  int64_t count = 0;  // samples
  int64_t done = 0;   // of these
  at::Tensor
      buffer;  // [batch_size, height, width, channels] once the first sample has shown the size
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

  const Dataset& dataset() const { return *dataset_; }
  int64_t workers() const { return options_.workers; }
  int64_t batches_per_epoch() const;
  void begin(int64_t epoch, int64_t first_batch);
  std::optional<Batch> next();
  double waited_seconds() const { return waited_; }
  int64_t skipped() const;

 private:
  std::vector<Pick> order(int64_t epoch) const;
  void work(const std::stop_token& stop);
  bool has_work() const;
  Chunk claim();
  void start(Slot& slot);
  void fill(const Chunk& chunk, const std::stop_token& stop);
  void make_row(Slot& slot, int64_t row);
  std::optional<Sample> read(int64_t id);
  void note_skipped(int64_t id, const Error& error);
  uint8_t* row_pixels(Slot& slot, int64_t row, const Sample& sample);
  at::Tensor take_buffer(const std::vector<int64_t>& shape);
  Slot& wait_for_next();
  Batch batch_of(const Slot& slot) const;

  const std::unique_ptr<const Dataset> dataset_;
  const Pipeline pipeline_;
  const LoaderOptions options_;
  const int64_t chunk_;

  mutable std::mutex mutex_;
  std::condition_variable_any work_;   // there is something to claim
  std::condition_variable_any ready_;  // a batch is complete, or no worker is active
  std::vector<Slot> slots_;            // batch k is made in slot k % size
  std::vector<at::Tensor> buffers_;    // all that exist; free where nobody else holds the storage
  std::set<int64_t> skipped_;
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
    : dataset_(std::move(dataset)),
      pipeline_(std::move(pipeline)),
      options_(options),
      chunk_(std::clamp<int64_t>(options.batch_size / (2 * options.workers), 1, kMaxChunk)),
      slots_(options.prefetch) {
  VIM_CHECK(options.batch_size >= 1 && options.workers >= 1 && options.prefetch >= 1);
  VIM_CHECK(options.rank >= 0 && options.rank < options.world);
  cv::setNumThreads(0);  // the workers are the threads
  for (int64_t i = 0; i < options.workers; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

int64_t Loader::Impl::batches_per_epoch() const {
  const int64_t size = dataset_->size(), world = options_.world;
  if (options_.training) return size / (options_.batch_size * world);
  const int64_t share = (size - options_.rank + world - 1) / world;
  return (share + options_.batch_size - 1) / options_.batch_size;
}

std::vector<Pick> Loader::Impl::order(int64_t epoch) const {
  const auto& o = options_;
  if (!o.training) return evaluation_order(dataset_->size(), o.rank, o.world);
  return training_order(dataset_->size(), o.batch_size, o.seed, epoch, o.rank, o.world);
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

int64_t Loader::Impl::skipped() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(skipped_.size());
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
  std::optional<Sample> sample = read(pick.id);
  if (!sample) {
    const std::lock_guard lock(mutex_);
    slot.missing.push_back(row);
    return;
  }
  // The pick's stream even where another image stands in, so that it does not come twice alike.
  RandomStream random(options_.seed, Purpose::kTransform, epoch_,
                      pick.id + pick.repeat * dataset_->size());
  pipeline_.apply(*sample, random);
  const cv::Mat& image = sample->image;
  uint8_t* pixels = row_pixels(slot, row, *sample);
  const size_t bytes = image.cols * image.elemSize();
  for (int y = 0; y < image.rows; ++y) std::memcpy(pixels + y * bytes, image.ptr(y), bytes);
  slot.labels.mutable_data_ptr<int64_t>()[row] = sample->label;
  slot.ids.mutable_data_ptr<int64_t>()[row] = sample->id;
}

// The sample, or what on_error makes of one that cannot be read; nothing where that is no sample.
std::optional<Sample> Loader::Impl::read(int64_t id) {
  for (int64_t tries = 0; tries < kMaxReplacements; ++tries) {
    const int64_t candidate = (id + tries) % dataset_->size();
    try {
      return dataset_->get(candidate);
    } catch (const Error& error) {
      if (options_.on_error == OnError::kStop) {
        throw Error(str(error.what(), "; remove it, or set data.on_error to skip such images"));
      }
      note_skipped(candidate, error);
      if (!options_.training) return std::nullopt;
    }
  }
  throw Error(str(dataset_->name(id), " and the ", kMaxReplacements - 1,
                  " images after it cannot be read; check the disk and the data"));
}

void Loader::Impl::note_skipped(int64_t id, const Error& error) {
  const std::lock_guard lock(mutex_);
  if (skipped_.insert(id).second) log::warning(str(error.what(), "; skipped"));
}

uint8_t* Loader::Impl::row_pixels(Slot& slot, int64_t row, const Sample& sample) {
  const cv::Mat& image = sample.image;
  const std::vector<int64_t> shape = {options_.batch_size, image.rows, image.cols,
                                      image.channels()};
  const std::lock_guard lock(mutex_);
  if (!slot.buffer.defined()) slot.buffer = take_buffer(shape);
  if (slot.buffer.sizes() != at::IntArrayRef(shape)) {
    throw Error(str(dataset_->name(sample.id), ": has ", image.cols, " x ", image.rows,
                    " pixels after the transforms where others have ", slot.buffer.size(2), " x ",
                    slot.buffer.size(1), "; let ",
                    options_.training ? "data.train_transforms" : "data.eval_transforms",
                    " end with one that fixes the size"));
  }
  return slot.buffer.mutable_data_ptr<uint8_t>() +
         row * static_cast<int64_t>(image.total() * image.elemSize());
}

// Pinned memory is not kept here: torch's allocator does, and knows which copies still read it.
at::Tensor Loader::Impl::take_buffer(const std::vector<int64_t>& shape) {
  if (options_.pin_memory)
    return at::empty(shape, at::TensorOptions(at::kByte).pinned_memory(true));
  for (const at::Tensor& buffer : buffers_) {
    if (buffer.sizes() == at::IntArrayRef(shape) && buffer.storage().use_count() == 1) {
      return buffer.alias();
    }
  }
  at::Tensor buffer = at::empty(shape, at::kByte);
  if (buffers_.size() < slots_.size() + 2) buffers_.push_back(buffer);
  return buffer.alias();
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

std::unique_ptr<Loader> open_loader(const DataConfig& config, Split split,
                                    const LoaderPlace& place) {
  const bool training = split == Split::kTrain;
  const int64_t cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  const LoaderOptions options = {
      .training = training,
      .batch_size =
          training ? config.batch_size : config.eval_batch_size.value_or(config.batch_size),
      .workers = config.workers.value_or(std::max<int64_t>(1, cores / place.local_world)),
      .prefetch = config.prefetch,
      .on_error = config.on_error,
      .seed = place.seed,
      .rank = place.rank,
      .world = place.world,
      .pin_memory = place.pin_memory,
  };
  return std::make_unique<Loader>(
      open_dataset(config, split),
      Pipeline{training ? config.train_transforms : config.eval_transforms, place.input}, options);
}

}  // namespace vim::data
