#include "vim/data/dataset.h"

#include "data/datasets.h"
#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::data {

std::unique_ptr<Dataset> open_dataset(const DataConfig& config, Split split) {
  const std::filesystem::path root(config.root);
  if (!std::filesystem::is_directory(root)) {
    throw Error(
        str("data.root: there is no folder ", root.string(), "; set it to where the images are"));
  }
  const int channels = static_cast<int>(config.channels);
  switch (config.format) {
    case Format::kIdx:
      return open_idx(root, split, channels);
    case Format::kImageFolder:
      return open_image_folder(root, split, channels);
  }
  VIM_CHECK(false);
  return nullptr;
}

}  // namespace vim::data
