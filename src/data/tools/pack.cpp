#include <algorithm>
#include <atomic>
#include <functional>
#include <list>
#include <numeric>
#include <set>
#include <span>

#include "data/codecs.h"
#include "data/datasets.h"
#include "data/encode.h"
#include "data/exif.h"
#include "data/packed.h"
#include "data/shard_pattern.h"
#include "data/shuffle.h"
#include "data/tar.h"
#include "data/tools/parallel.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/log.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/commands.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

constexpr size_t kAtOnce = 512;  // images in memory

cv::Mat shrunk(const cv::Mat& image, std::optional<int64_t> short_side) {
  const int64_t side = std::min(image.cols, image.rows);
  if (!short_side || side <= *short_side) return image;
  Sample sample = {image};
  RandomStream unused(0, Purpose::kTransform);
  Resize{*short_side}.apply(sample, {}, unused);
  return sample.image;
}

void put_pixels(const cv::Mat& image, PackedImage& out) {
  const cv::Mat whole = image.isContinuous() ? image : image.clone();
  out.bytes.assign(reinterpret_cast<const char*>(whole.data), whole.total() * whole.elemSize());
  out.width = static_cast<uint32_t>(whole.cols);
  out.height = static_cast<uint32_t>(whole.rows);
  out.channels = static_cast<uint32_t>(whole.channels());
}

DataConfig images_of(const PackCommand& command) {
  DataConfig config;
  config.root = command.root.string();
  return config;
}

// The images of a split, as they are packed.
class Packing {
 public:
  Packing(const PackCommand& command, Split split)
      : command_(command), split_(split), dataset_(open_dataset(images_of(command), split)) {}

  Split split() const { return split_; }
  int64_t size() const { return dataset_->size(); }
  const std::vector<std::string>& classes() const { return dataset_->classes(); }

  // Those images to `use`, in this order.
  void pack(std::span<const int64_t> ids, const std::function<void(const PackedImage&)>& use) {
    while (!ids.empty()) {
      const auto now = ids.first(std::min(ids.size(), kAtOnce));
      ids = ids.subspan(now.size());
      std::vector<PackedImage> images(now.size());
      for_each_in_parallel(std::ssize(now), command_.workers,
                           concat("pack ", split_name(split_), " ", done_, "/", size()),
                           [&](int64_t i) { images[i] = packed(now[i]); });
      for (const PackedImage& image : images) use(image);
      done_ += std::ssize(now);
    }
  }

  void report(const std::string& where, uint64_t bytes) const {
    log::info(concat(where, ": ", with_separators(size()), " images, ",
                     as_bytes(static_cast<double>(bytes))));
    if (lying_ > 0) {
      log::warning(concat(where, ": ", with_separators(lying_),
                          " images are turned by their EXIF data, which pixels cannot keep; have "
                          "them upright with --exif-transpose"));
    }
  }

 private:
  PackedImage packed(int64_t id) {
    const std::string path = dataset_->name(id);
    PackedImage out;
    out.name = fs::path(path).lexically_relative(command_.root / split_name(split_)).string();
    out.label = static_cast<uint32_t>(dataset_->label(id));
    out.bytes = dataset_->stored(id).file;
    try {
      change(out);
    } catch (const Error& error) {
      throw Error(concat(path, ": ", error.what()));
    }
    return out;
  }

  // From the file's bytes to what is packed. Decodes even where they stay, so that what is broken
  // is refused.
  void change(PackedImage& out) {
    const int orientation = exif_orientation(out.bytes);
    const bool turn = command_.exif_transpose && orientation != 1;
    Sample sample = sample_of(out.bytes, {.exif_transpose = command_.exif_transpose});
    decode(sample);
    const cv::Mat image = shrunk(sample.image, command_.short_side);
    if (command_.raw) {
      if (!turn && orientation != 1) ++lying_;
      put_pixels(image, out);
    } else if (turn || image.size() != sample.image.size()) {
      out.bytes = encode_jpeg(image, static_cast<int>(command_.quality));
      if (!turn && orientation != 1) out.bytes = with_orientation(out.bytes, orientation);
    }
  }

  const PackCommand& command_;
  Split split_;
  std::unique_ptr<const Dataset> dataset_;
  int64_t done_ = 0;
  std::atomic<int64_t> lying_ = 0;  // images whose pixels are not upright
};

std::vector<int64_t> in_order(int64_t size) {
  std::vector<int64_t> ids(size);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

std::vector<int64_t> shuffled(int64_t size) {
  const auto order = full_shuffle(size, /*seed=*/0, /*epoch=*/0);
  std::vector<int64_t> ids(size);
  for (int64_t i = 0; i < size; ++i) ids[i] = order->at(i);
  return ids;
}

void write_packed(const PackCommand& c, Packing& packing) {
  const fs::path file = packed_file(c.output, packing.split());
  write_atomically(file, [&](FileWriter& out) {
    PackWriter writer(out);
    packing.pack(in_order(packing.size()), [&](const PackedImage& image) { writer.add(image); });
    writer.finish(packing.classes());
  });
  packing.report(file.string(), fs::file_size(file));
}

// What the members of an image are called before the first dot: each its own in a shard.
class ShardKeys {
 public:
  std::string of(const fs::path& name) {
    std::string file = name.stem().string();
    std::ranges::replace(file, '.', '_');
    const std::string wanted = (name.parent_path() / file).string();
    std::string key = wanted;
    for (int i = 2; !used_.insert(key).second; ++i) key = concat(wanted, "_", i);
    return key;
  }

 private:
  std::set<std::string> used_;
};

std::string shard_name(Split split, int64_t i) {
  const std::string digits = std::to_string(i);
  return concat(split_name(split), "-", std::string(6 - std::min<size_t>(6, digits.size()), '0'),
                digits, ".tar");
}

// Names of a split's shards. Others of the kind would be read with them.
std::vector<std::string> shard_names(const fs::path& folder, Split split, int64_t count) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back(shard_name(split, i));
  for (const std::string& there :
       find_shards(folder, concat("*", split_name(split), "*.tar"), /*required=*/false)) {
    if (std::ranges::find(names, there) == names.end()) {
      throw Error(concat((folder / there).string(),
                         ": training would read this shard beside the new ones; remove it, or "
                         "write into another folder"));
    }
  }
  return names;
}

void write_shards(const PackCommand& c, Packing& packing) {
  const Split split = packing.split();
  // A shard of one class would be read as such (docs/data.md).
  const std::vector<int64_t> ids =
      split == Split::kTrain ? shuffled(packing.size()) : in_order(packing.size());
  const auto each = static_cast<size_t>(*c.images_per_shard);
  std::span<const int64_t> left(ids);
  uint64_t bytes = 0;
  const auto count = static_cast<int64_t>((ids.size() + each - 1) / each);
  for (const std::string& name : shard_names(c.output, split, count)) {
    const auto now = left.first(std::min(each, left.size()));
    left = left.subspan(now.size());
    write_atomically(c.output / name, [&](FileWriter& out) {
      TarWriter writer(out);
      ShardKeys keys;
      packing.pack(now, [&](const PackedImage& image) {
        const std::string key = keys.of(image.name);
        writer.add(key + (is_png(image.bytes) ? ".png" : ".jpg"), image.bytes);
        writer.add(key + ".cls", std::to_string(image.label));
      });
      writer.finish();
    });
    bytes += fs::file_size(c.output / name);
  }
  packing.report(
      concat((c.output / shard_name(split, 0)).string(), " to ", shard_name(split, count - 1)),
      bytes);
}

// By their numbers in the shards.
void write_classes(const PackCommand& c, const std::list<Packing>& packings) {
  const std::vector<std::string>& classes = packings.front().classes();
  if (packings.back().classes() != classes) {
    throw Error(concat(c.root.string(),
                       ": train/ and val/ have different classes; `vim-data check` names them"));
  }
  write_atomically(c.output / "classes.txt", join(classes, "\n") + "\n");
}

}  // namespace

void pack(const PackCommand& command) {
  if (!fs::is_directory(command.root)) {
    throw Error(concat(command.root.string(), ": there is no such folder"));
  }
  std::list<Packing> packings;
  for (const Split split : {Split::kTrain, Split::kVal}) {
    if (has_split(images_of(command), split)) packings.emplace_back(command, split);
  }
  if (packings.empty()) throw Error(concat(command.root.string(), ": has neither train/ nor val/"));
  fs::create_directories(command.output);
  if (command.images_per_shard) write_classes(command, packings);
  for (Packing& packing : packings) {
    command.images_per_shard ? write_shards(command, packing) : write_packed(command, packing);
  }
}

}  // namespace vim::data
