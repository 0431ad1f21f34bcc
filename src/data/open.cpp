// From a configuration to data sets and loaders.
#include <algorithm>
#include <filesystem>
#include <utility>

#include "data/datasets.h"
#include "data/resources.h"
#include "data/shard_pattern.h"
#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/data/loader.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

constexpr int64_t kMemoryShare = 8;  // of the free memory, an eighth for batches

fs::path require_root(const DataConfig& config) {
  const fs::path root(config.root);
  if (fs::is_directory(root)) return root;
  throw Error(
      concat("data.root: there is no folder ", root.string(), "; set it to where the images are"));
}

const std::optional<std::string>& shard_pattern(const DataConfig& config, Split split) {
  return split == Split::kTrain ? config.train_shards : config.val_shards;
}

std::vector<std::string> automatic_patterns(Split split) {
  const std::string name = split_name(split);
  return {concat(name, "/*.tar"), concat("*", name, "*.tar")};
}

std::vector<std::string> automatic_shards(const DataConfig& config, Split split) {
  const fs::path root = require_root(config);
  for (const std::string& pattern : automatic_patterns(split)) {
    auto shards = find_shards(root, pattern, /*required=*/false);
    if (!shards.empty()) return shards;
  }
  return {};
}

// Of images that have the model's size, as the last transform makes them.
int64_t batch_bytes(const LoaderOptions& options, const InputSize& input, int64_t channels) {
  return options.batch_size * input.height * input.width * channels;
}

}  // namespace

void Dataset::will_read(int64_t, int64_t) const {}

Sample Dataset::get(int64_t id) const {
  Sample sample = read(id);
  try {
    decode(sample);
  } catch (const Error& error) {
    throw Error(concat(name(id), ": ", error.what()));
  }
  return sample;
}

StoredImage Dataset::stored(int64_t id) const {
  return {.pixels = get(id).image};
}

int64_t Dataset::label(int64_t id) const {
  return read(id).label;
}

Sample StoredDataset::read(int64_t id) const {
  StoredImage image = stored(id);
  try {
    Sample sample;
    if (image.pixels.empty()) {
      sample = sample_of(std::move(image.file), options_);
    } else {
      sample.image = with_channels(image.pixels, options_.channels);
    }
    sample.label = label(id);
    sample.id = id;
    return sample;
  } catch (const Error& error) {
    throw Error(concat(name(id), ": ", error.what()));
  }
}

ReadOptions read_options(const DataConfig& config) {
  return {.channels = static_cast<int>(config.channels), .exif_transpose = config.exif_transpose};
}

std::vector<std::string> shards_of(const DataConfig& config, Split split) {
  if (const auto& pattern = shard_pattern(config, split)) {
    return find_shards(require_root(config), *pattern);
  }
  std::vector<std::string> shards = automatic_shards(config, split);
  if (!shards.empty()) return shards;
  throw Error(concat(config.root, ": has neither ", join(automatic_patterns(split), " nor "),
                     "; set data.", split == Split::kTrain ? "train_shards" : "val_shards",
                     " to the files' names"));
}

bool has_split(const DataConfig& config, Split split) {
  const fs::path root = require_root(config);
  switch (config.format) {
    case Format::kImageFolder:
      return fs::is_directory(root / split_name(split));
    case Format::kPacked:
      return fs::exists(packed_file(root, split));
    case Format::kWebdataset:
      return shard_pattern(config, split) || !automatic_shards(config, split).empty();
    case Format::kIdx:
    case Format::kCifar:
      break;
  }
  return true;
}

fs::path index_of(const DataConfig& config, Split split) {
  return fs::path(config.index.value_or(config.root)) / concat(split_name(split), kIndexSuffix);
}

std::unique_ptr<Dataset> open_dataset(const DataConfig& config, Split split) {
  const fs::path root = require_root(config);
  const ReadOptions options = read_options(config);
  const fs::path index = index_of(config, split);
  if (config.index && !fs::exists(index)) {
    throw Error(
        concat("data.index: there is no ", index.string(), "; write it with `vim-data index`"));
  }
  switch (config.format) {
    case Format::kIdx:
      return open_idx(root, split, options.channels);
    case Format::kImageFolder:
      return open_image_folder(root, split, options, index);
    case Format::kCifar:
      return open_cifar(root, split, options.channels);
    case Format::kPacked:
      return open_packed(root, split, options);
    case Format::kWebdataset:
      return open_webdataset(root, shards_of(config, split), options, index);
  }
  VIM_CHECK(false);
  return nullptr;
}

int64_t automatic_workers(int64_t local_world) {
  return std::max<int64_t>(1, usable_cores() / local_world);
}

std::string description(const Loader& loader, const InputSize& input, int64_t channels) {
  const LoaderOptions& o = loader.options();
  return concat(with_separators(loader.dataset().size()), " images, ", o.workers,
                o.workers == 1 ? " worker, " : " workers, ", o.prefetch, " batches of ",
                as_bytes(static_cast<double>(batch_bytes(o, input, channels))), " ahead",
                o.pin_memory ? ", in pinned memory" : "");
}

std::unique_ptr<Loader> open_loader(const DataConfig& config, Split split,
                                    const LoaderPlace& place) {
  const bool training = split == Split::kTrain;
  LoaderOptions options;
  options.training = training;
  options.batch_size =
      training ? config.batch_size : config.eval_batch_size.value_or(config.batch_size);
  options.workers = config.workers.value_or(automatic_workers(place.local_world));
  options.prefetch = config.prefetch.value_or(automatic_prefetch(
      options.batch_size, options.workers, batch_bytes(options, place.input, config.channels),
      usable_memory() / kMemoryShare / place.local_world));
  options.repeats = config.repeats;
  options.on_error = config.on_error;
  options.shuffle_window = config.shuffle_window.value_or(options.shuffle_window);
  options.seed = place.seed;
  options.rank = place.rank;
  options.world = place.world;
  options.pin_memory = place.pin_memory;
  auto loader = std::make_unique<Loader>(
      open_dataset(config, split),
      Pipeline{training ? config.train_transforms : config.eval_transforms, place.input}, options);
  log::info(concat(training ? "training" : "evaluation",
                   " data: ", description(*loader, place.input, config.channels)));
  return loader;
}

}  // namespace vim::data
