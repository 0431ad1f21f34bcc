// What is in a tar shard of WebDataset's convention (data/datasets.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/listing.h"
#include "data/shard_label.h"

namespace vim::data {

struct ScannedShard {
  Container container;
  std::string names;          // of the images' members, each ended by a 0
  std::vector<Place> places;  // of the images; their labels are places in `labels`
  std::vector<ShardLabel> labels;
  int64_t without_image = 0;  // samples
};

// Reads the headers and labels of a shard; `path` is one from the root on. Throws Error, which
// names shard and member, where it is damaged, or an image has no label.
ScannedShard scan_shard(const std::filesystem::path& root, const std::string& path);

// All shards' images in a row, with one numbering of the classes.
ListingParts merge(std::vector<ScannedShard> shards, const std::filesystem::path& root);

}  // namespace vim::data
