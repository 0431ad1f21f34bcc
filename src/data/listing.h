// The images of a split by name and place, in few bytes each: in memory, or mapped from an index
// file, which processes of a machine share.
//
// The index file, numbers little-endian:
//
//   "vim-list"                          8 bytes
//   starts, places, containers          arrays, see listing.cpp
//   names                               of images, each ended by a 0
//   text                                paths of containers, names of classes, each ended by a 0
//   footer                              counts and a hash of each part
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/mapped_file.h"

namespace vim::data {

inline constexpr std::string_view kIndexSuffix = ".vimindex";

struct IndexFooter {
  uint64_t version = 1;
  uint64_t images = 0, places = 0, containers = 0, classes = 0;
  uint64_t names = 0, text = 0;         // bytes
  std::array<uint64_t, 5> hashes = {};  // of the parts
  uint64_t hash = 0;                    // of the footer before this

  uint64_t own_hash() const;
};
static_assert(sizeof(IndexFooter) == 104);

// Starts, places, containers, names and text of an index file, and what hashes they have; nothing
// where the counts do not fit the file.
using IndexParts = std::array<std::string_view, 5>;
std::optional<IndexParts> index_parts(std::string_view file, const IndexFooter& footer);
std::array<uint64_t, 5> hashes_of(const IndexParts& parts);

// A folder or a shard, with a stretch of the images.
struct Container {
  std::string path;      // from the listing's root
  int64_t modified = 0;  // nanoseconds; what tells whether an index is of these files
  uint64_t size = 0;     // of a shard
  uint32_t label = 0;    // of a folder's images
  int64_t first = 0;     // image
  bool operator==(const Container&) const = default;
};

// As the file system has it now; `first` and `label` are the caller's. Throws Error.
Container stat_container(const std::filesystem::path& root, const std::string& path);

// Of an image in a shard.
struct Place {
  uint64_t offset = 0;
  uint32_t size = 0;
  uint32_t label = 0;
};
static_assert(sizeof(Place) == 16);

// A listing in the making: containers, each followed by its images.
struct ListingParts {
  std::vector<std::string> classes;
  std::vector<Container> containers;
  std::vector<Place> places;     // where the containers are shards: one an image
  std::string names;             // each ended by a 0
  std::vector<uint64_t> starts;  // of every kStride-th name
  int64_t images = 0;

  void add_image(std::string_view name);  // no 0 in it
};

// Safe to use from many threads at once.
class Listing {
 public:
  explicit Listing(ListingParts parts);

  // Reads an index. Throws Error where it is none, or damaged.
  explicit Listing(const std::filesystem::path& index);

  Listing(const Listing&) = delete;
  Listing& operator=(const Listing&) = delete;

  int64_t size() const { return images_; }
  bool of_shards() const { return !places_.empty(); }  // or of folders
  std::string_view name(int64_t image) const;          // in its container
  const Container& container_of(int64_t image) const;
  Place place(int64_t image) const;  // of an image in a shard
  const std::vector<Container>& containers() const { return containers_; }
  const std::vector<std::string>& classes() const { return classes_; }

  void write(const std::filesystem::path& index) const;

 private:
  void check_labels(const std::filesystem::path& index) const;

  std::optional<MappedFile> file_;
  ListingParts parts_;  // what is not in the file
  int64_t images_;
  std::vector<std::string> classes_;
  std::vector<Container> containers_;
  std::span<const uint64_t> starts_;
  std::span<const Place> places_;
  std::string_view names_;
};

// What is in the index where there is one of these very folders or shards, else what `list` finds;
// a warning says why an index is not used. `shards` are those that there are; of folders, none.
std::unique_ptr<const Listing> indexed_or(const std::filesystem::path& index,
                                          const std::filesystem::path& root,
                                          const std::vector<std::string>& shards,
                                          const std::function<ListingParts()>& list);

}  // namespace vim::data
