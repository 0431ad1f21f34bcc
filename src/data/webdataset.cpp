#include <algorithm>
#include <fstream>

#include "data/datasets.h"
#include "data/input_file.h"
#include "data/shard_scan.h"
#include "data/tools/parallel.h"
#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

constexpr size_t kOpenShards = 256;
constexpr int64_t kScanners = 16;  // threads; they wait for the disk most of the time

std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

class Webdataset : public StoredDataset {
 public:
  Webdataset(const fs::path& root, const std::vector<std::string>& shards,
             const ReadOptions& options, const fs::path& index)
      : StoredDataset(options),
        root_(root),
        listing_(indexed_or(index, root, shards, [&] { return list_webdataset(root, shards); })),
        classes_(listing_->classes()),
        files_(kOpenShards) {
    name_classes(root / "classes.txt");
  }

  int64_t size() const override { return listing_->size(); }

  StoredImage stored(int64_t id) const override {
    const Container& shard = listing_->container_of(id);
    const Place place = listing_->place(id);
    if (place.offset > shard.size || place.size > shard.size - place.offset) {
      throw Error(concat(name(id), ": lies beyond the end of the shard"));
    }
    std::string bytes(place.size, '\0');
    files_.open(root_ / shard.path)->read(place.offset, bytes.data(), bytes.size());
    return {.file = std::move(bytes)};
  }

  int64_t label(int64_t id) const override { return listing_->place(id).label; }

  std::vector<int64_t> shards() const override {
    std::vector<int64_t> firsts;
    for (const Container& shard : listing_->containers()) {
      if (shard.first == size()) break;
      if (!firsts.empty() && firsts.back() == shard.first) firsts.pop_back();  // an empty one
      firsts.push_back(shard.first);
    }
    return firsts;
  }

  void will_read(int64_t first, int64_t count) const override {
    VIM_CHECK(first >= 0 && count >= 1 && first + count <= size());
    const auto& shards = listing_->containers();
    for (auto shard = std::ranges::upper_bound(shards, first, {}, &Container::first) - 1;
         shard != shards.end() && shard->first < first + count; ++shard) {
      const int64_t end = std::next(shard) == shards.end() ? size() : std::next(shard)->first;
      const int64_t from = std::max(first, shard->first), to = std::min(first + count, end);
      if (from >= to) continue;
      const Place begin = listing_->place(from), last = listing_->place(to - 1);
      try {
        files_.open(root_ / shard->path)
            ->will_read(begin.offset, last.offset + last.size - begin.offset);
      } catch (const Error&) {
        // Whoever reads the image is told.
      }
    }
  }

  std::string name(int64_t id) const override {
    return concat((root_ / listing_->container_of(id).path).string(), ", ", listing_->name(id));
  }

  const std::vector<std::string>& classes() const override { return classes_; }

 private:
  void name_classes(const fs::path& path) {
    if (!fs::exists(path)) return;
    for (size_t i = 0; i < classes_.size(); ++i) {
      if (classes_[i] != std::to_string(i)) return;  // they have names
    }
    std::vector<std::string> names = lines_of(path);
    if (names.size() < classes_.size()) {
      throw Error(concat(path.string(), ": names ", names.size(),
                         " classes, and there is the label ", classes_.size() - 1));
    }
    classes_ = std::move(names);
  }

  fs::path root_;
  std::unique_ptr<const Listing> listing_;
  std::vector<std::string> classes_;
  mutable OpenFiles files_;
};

}  // namespace

ListingParts list_webdataset(const fs::path& root, const std::vector<std::string>& shards) {
  const int64_t count = std::ssize(shards);
  std::vector<ScannedShard> scanned(shards.size());
  for_each_in_parallel(count, std::min(kScanners, count), "scan shards",
                       [&](int64_t i) { scanned[i] = scan_shard(root, shards[i]); });
  int64_t without_image = 0;
  for (const ScannedShard& shard : scanned) without_image += shard.without_image;
  if (without_image > 0) {
    log::warning(concat(root.string(), ": ", with_separators(without_image),
                        without_image == 1 ? " sample" : " samples",
                        " without a JPEG or PNG left out"));
  }
  ListingParts all = merge(std::move(scanned), root);
  if (all.images == 0) {
    throw Error(concat((root / shards.at(0)).string(), count > 1 ? " and the others" : "",
                       ": no .jpg, .jpeg or .png with a label is in there"));
  }
  return all;
}

std::unique_ptr<Dataset> open_webdataset(const fs::path& root,
                                         const std::vector<std::string>& shards,
                                         const ReadOptions& options, const fs::path& index) {
  return std::make_unique<Webdataset>(root, shards, options, index);
}

}  // namespace vim::data
