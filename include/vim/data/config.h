// Which images are trained on and evaluated, and how they become batches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vim/config/visitor.h"
#include "vim/data/batch_transforms.h"
#include "vim/data/transforms.h"

namespace vim::data {

enum class Format { kIdx, kImageFolder, kCifar, kPacked, kWebdataset };
enum class OnError { kStop, kSkip };

struct DataConfig {
  Format format = Format::kImageFolder;
  std::string root;
  std::optional<std::string> train_shards, val_shards;
  std::optional<int64_t> shuffle_window;
  std::optional<std::string> index;
  int64_t channels = 3;
  bool exif_transpose = false;
  int64_t batch_size = 128;
  std::optional<int64_t> eval_batch_size;
  std::optional<int64_t> workers;
  std::optional<int64_t> prefetch;
  OnError on_error = OnError::kStop;
  std::vector<Transform> train_transforms = {RandomResizedCrop{}, Flip{}};
  int64_t repeats = 1;
  ErasingConfig erasing;
  MixingConfig mixing;
  std::vector<Transform> eval_transforms = {Resize{}, CenterCrop{}};
  std::vector<double> mean = {0.485, 0.456, 0.406};
  std::vector<double> std = {0.229, 0.224, 0.225};
  bool operator==(const DataConfig&) const = default;
};

void describe(config::Visitor& v, DataConfig& c);
void check(const DataConfig& c, config::Problems& problems);

}  // namespace vim::data

namespace vim::config {

template <>
inline constexpr auto enum_names<data::Format> =
    named<data::Format>({{data::Format::kIdx, "idx"},
                         {data::Format::kImageFolder, "image_folder"},
                         {data::Format::kCifar, "cifar"},
                         {data::Format::kPacked, "packed"},
                         {data::Format::kWebdataset, "webdataset"}});
template <>
inline constexpr auto enum_names<data::OnError> =
    named<data::OnError>({{data::OnError::kStop, "stop"}, {data::OnError::kSkip, "skip"}});

}  // namespace vim::config
