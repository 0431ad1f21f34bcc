// The files below a folder, with the split and class that their place gives them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace vim::data {

struct FoundFile {
  std::string path;   // below the root
  std::string split;  // train, val, ... or nothing
  std::string label;  // the class's folder, or nothing
};

struct Tree {
  std::vector<FoundFile> files;  // in the order of their bytes, without hidden ones
  // Every folder that stands for a class, whether or not it holds a file: by split.
  std::map<std::string, std::vector<std::string>> classes;
};

// `root/<split>/<class>/...`, where the folders right below are called train, val, valid,
// validation or test, else `root/<class>/...`. Throws Error where a folder cannot be listed.
Tree list_tree(const std::filesystem::path& root);

}  // namespace vim::data
