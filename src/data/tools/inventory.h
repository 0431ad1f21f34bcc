// The images that `vim-data check` and `stats` look at, with the split and class that their place
// gives them.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/tools/probe.h"
#include "vim/data/config.h"
#include "vim/data/dataset.h"
#include "vim/data/sample.h"

namespace vim::data {

struct Item {
  std::string path;               // below the root; of an image in a file with others: "file, name"
  std::string split;              // train, val, ... or nothing
  std::string label;              // the class, or nothing
  std::optional<Encoding> named;  // by its ending; nothing where that has no say
};

struct Inventory {
  std::filesystem::path root;
  std::vector<Item> items;
  // Every class by split, whether or not it has an image.
  std::map<std::string, std::vector<std::string>> classes;
  // Whose images the items are, one data set after the other; none where they are files.
  std::vector<std::unique_ptr<const Dataset>> datasets;

  // Safe to call from many threads at once. Throws Error with the place.
  StoredImage read(size_t item) const;
};

// Of an image folder: all files that are not hidden, in the order of their bytes, in
// `root/<split>/<class>/...`, where the folders right below are called train, val, valid,
// validation or test, else `root/<class>/...`. Throws Error where a folder cannot be listed.
Inventory take_inventory(const std::filesystem::path& root);

// Of what the configuration describes; of shards and packed files, the splits that there are.
Inventory take_inventory(const DataConfig& config);

}  // namespace vim::data
