#include "data/sample_maker.h"

#include <utility>

#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"

namespace vim::data {
namespace {

constexpr int64_t kMaxReplacements = 100;  // tries before a data set counts as unreadable

}  // namespace

RandomStream transform_stream(uint64_t seed, int64_t epoch, const Pick& pick, int64_t size) {
  return {seed, Purpose::kTransform, static_cast<uint64_t>(epoch),
          static_cast<uint64_t>(pick.id + pick.repeat * size)};
}

SampleMaker::SampleMaker(std::unique_ptr<const Dataset> dataset, Pipeline pipeline,
                         const LoaderOptions& options)
    : dataset_(std::move(dataset)), pipeline_(std::move(pipeline)), options_(options) {}

std::optional<Sample> SampleMaker::make(const Pick& pick, int64_t epoch) {
  const int64_t size = dataset_->size();
  for (int64_t tries = 0; tries < kMaxReplacements; ++tries) {
    const int64_t id = (pick.id + tries) % size;
    // The pick's stream even where another image stands in, so that it does not come twice alike.
    RandomStream random = transform_stream(options_.seed, epoch, pick, size);
    try {
      return transformed(dataset_->read(id), random);
    } catch (const Error& error) {
      if (options_.on_error == OnError::kStop) {
        throw Error(concat(error.what(), "; remove it, or set data.on_error to skip such images"));
      }
      note_skipped(id, error.what());
      if (!options_.training) return std::nullopt;
    }
  }
  throw Error(concat(dataset_->name(pick.id), " and the ", kMaxReplacements - 1,
                     " images after it cannot be read; check the disk and the data"));
}

Sample SampleMaker::transformed(Sample sample, RandomStream& random) const {
  try {
    pipeline_.apply(sample, random);
  } catch (const Error& error) {
    throw Error(concat(dataset_->name(sample.id), ": ", error.what()));
  }
  return sample;
}

void SampleMaker::note_skipped(int64_t id, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (skipped_.insert(id).second) log::warning(concat(reason, "; skipped"));
}

int64_t SampleMaker::skipped() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(skipped_.size());
}

}  // namespace vim::data
