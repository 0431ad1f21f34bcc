// From a place in the order to a transformed image.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "data/sampler.h"
#include "vim/core/random.h"
#include "vim/data/loader.h"
#include "vim/data/sample.h"

namespace vim::data {

// The random numbers of a pick's transforms, in a data set of `size` images.
RandomStream transform_stream(uint64_t seed, int64_t epoch, const Pick& pick, int64_t size);

// Safe to call from many threads at once.
class SampleMaker {
 public:
  SampleMaker(std::unique_ptr<const Dataset> dataset, Pipeline pipeline,
              const LoaderOptions& options);

  // Nothing where the image cannot be read and is left out (OnError::kSkip in evaluation).
  std::optional<Sample> make(const Pick& pick, int64_t epoch);

  const Dataset& dataset() const { return *dataset_; }
  int64_t skipped() const;

 private:
  Sample transformed(Sample sample, RandomStream& random) const;
  void note_skipped(int64_t id, const std::string& reason);

  const std::unique_ptr<const Dataset> dataset_;
  const Pipeline pipeline_;
  const LoaderOptions options_;
  mutable std::mutex mutex_;
  std::set<int64_t> skipped_;  // ids, guarded by the mutex
};

}  // namespace vim::data
