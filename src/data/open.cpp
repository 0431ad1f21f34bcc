// From a configuration to data sets and loaders.
#include <algorithm>
#include <filesystem>
#include <thread>

#include "data/datasets.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/data/loader.h"
#include "vim/data/sample.h"

namespace vim::data {

Sample Dataset::read(int64_t id) const {
  return get(id);
}

std::unique_ptr<Dataset> open_dataset(const DataConfig& config, Split split) {
  const std::filesystem::path root(config.root);
  if (!std::filesystem::is_directory(root)) {
    throw Error(concat("data.root: there is no folder ", root.string(),
                       "; set it to where the images are"));
  }
  const int channels = static_cast<int>(config.channels);
  switch (config.format) {
    case Format::kIdx:
      return open_idx(root, split, channels);
    case Format::kImageFolder:
      return open_image_folder(root, split, channels);
    case Format::kCifar:
      return open_cifar(root, split, channels);
    case Format::kPacked:
      return open_packed(root, split, channels);
  }
  VIM_CHECK(false);
  return nullptr;
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
      .repeats = config.repeats,
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
