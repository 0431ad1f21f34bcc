// Batches in order, made by threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "vim/data/config.h"
#include "vim/data/dataset.h"
#include "vim/data/transforms.h"

namespace vim::data {

struct Batch {
  at::Tensor images;  // uint8 [batch, height, width, channels]
  at::Tensor labels;  // int64 [batch]
  at::Tensor ids;     // int64 [batch], positions in the data set
  int64_t epoch = 0;
  int64_t index = 0;  // of the batch in the epoch; with `epoch`, what random mixing depends on
};

struct LoaderOptions {
  bool training =
      true;  // shuffled, all batches full; else in order, every image once over the ranks
  int64_t batch_size = 1;
  int64_t workers = 1;
  int64_t prefetch = 4;  // batches ready or in work
  int64_t repeats = 1;   // of an image in a training epoch
  OnError on_error = OnError::kStop;
  int64_t shuffle_window = 16384;  // images that are mixed at a time, where there are shards
  uint64_t seed = 0;
  int64_t rank = 0;
  int64_t world = 1;
  bool pin_memory = false;  // for copies to a CUDA device that do not wait
};

// Reads, transforms and collates in worker threads that live as long as the loader. What batch k of
// an epoch holds is a function of (data, options but `workers` and `prefetch`, epoch, k): the order
// is random in (seed, epoch), the transforms in (seed, epoch, sample id). Training leaves out the
// images that fill no batch on every rank, others each epoch; evaluation ends with a smaller batch
// and pads nothing. One thread at a time may call it.
//
// An image that cannot be read: with OnError::kStop, `next` throws the Error, which names the file.
// With kSkip it is logged once and counted; training takes the next one of the data set that can be
// read, evaluation leaves it out.
class Loader {
 public:
  Loader(std::unique_ptr<const Dataset> dataset, Pipeline pipeline, const LoaderOptions& options);
  ~Loader();  // at any time: what is in work is dropped
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  const Dataset& dataset() const;
  int64_t batches_per_epoch() const;  // of this rank
  const LoaderOptions& options() const;

  // Starts an epoch at any of its batches; those before it are not read. May be called in the
  // middle of another.
  void begin(int64_t epoch, int64_t first_batch = 0);

  // The next batch, or nothing at the end of the epoch. Its tensors are the caller's; memory of
  // batches that nobody holds any more is used again.
  std::optional<Batch> next();

  double waited_seconds() const;  // that `next` spent waiting, since the loader was made
  int64_t skipped() const;        // images that could not be read, since the loader was made

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// What the configuration does not know.
struct LoaderPlace {
  InputSize input;  // of the model, for transforms whose size is `auto`
  uint64_t seed = 0;
  int64_t rank = 0;
  int64_t world = 1;
  int64_t local_world = 1;  // processes on this machine, which share its cores
  bool pin_memory = false;
};

// Chooses what the configuration leaves open, and logs what was chosen.
std::unique_ptr<Loader> open_loader(const DataConfig& config, Split split,
                                    const LoaderPlace& place);

// Threads for `data.workers: auto`: the cores that this process may use, shared with the others.
int64_t automatic_workers(int64_t local_world = 1);

// What it loads and how: "1,281,167 images, 16 workers, 4 batches of 18.4 MiB ahead".
std::string description(const Loader& loader, const InputSize& input, int64_t channels);

}  // namespace vim::data
