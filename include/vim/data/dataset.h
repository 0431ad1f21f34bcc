// Labelled images, wherever they come from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vim/data/config.h"

namespace vim::data {

struct ReadOptions;
struct Sample;
struct StoredImage;

enum class Split { kTrain, kVal };

// A data set is a size and a way to get the image at a position. Every method may be called from
// many threads at once. The data set outlives its samples.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;

  // Reads; may leave a JPEG to be decoded by the transforms (Sample::jpeg). Throws Error, which
  // names the file, where that is impossible.
  virtual Sample read(int64_t id) const = 0;

  // Reads and decodes, with the same errors.
  virtual Sample get(int64_t id) const;

  // Reads and changes nothing, with the same errors.
  virtual StoredImage stored(int64_t id) const;

  // A position in classes(); most data sets know it without reading the image.
  virtual int64_t label(int64_t id) const;

  // The first position of each shard: images of a shard are read best in their order. Empty where
  // any order is as good.
  virtual std::vector<int64_t> shards() const { return {}; }

  // Tells that those images are read soon. Need not do anything, and does not wait.
  virtual void will_read(int64_t first, int64_t count) const;

  // What a person calls it: its file.
  virtual std::string name(int64_t id) const = 0;

  // Names of the labels.
  virtual const std::vector<std::string>& classes() const = 0;
};

// How the images of a data set are read.
ReadOptions read_options(const DataConfig& config);

// Throws Error where the data are not there, or not as they should be.
std::unique_ptr<Dataset> open_dataset(const DataConfig& config, Split split);

// What tells one data set from another, a line each: size, classes, and hashes of the names and of
// a few images with their labels.
std::string fingerprint(const Dataset& dataset);

}  // namespace vim::data
