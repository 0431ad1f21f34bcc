#include "data/tools/tree.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

bool is_split(const std::string& name) {
  constexpr std::array<std::string_view, 5> kSplits = {"train", "val", "valid", "validation",
                                                       "test"};
  return std::ranges::find(kSplits, name) != kSplits.end();
}

void walk(const fs::path& root, const std::string& below, const FoundFile& place, Tree& tree) {
  std::vector<std::string> folders, files;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(root / below)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with('.')) continue;
      (entry.is_directory() ? folders : files).push_back(name);
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(concat((root / below).string(), ": cannot be listed: ", error.code().message()));
  }
  std::ranges::sort(folders);
  std::ranges::sort(files);
  for (const std::string& name : files) {
    tree.files.push_back({below + name, place.split, place.label});
  }
  for (const std::string& name : folders) {
    FoundFile inner = place;
    if (below.empty() && is_split(name)) {
      inner.split = name;
    } else if (place.label.empty()) {
      inner.label = name;
      tree.classes[place.split].push_back(name);
    }
    walk(root, below + name + "/", inner, tree);
  }
}

}  // namespace

Tree list_tree(const fs::path& root) {
  if (!fs::is_directory(root)) throw Error(concat(root.string(), ": there is no such folder"));
  Tree tree;
  walk(root, "", {}, tree);
  return tree;
}

}  // namespace vim::data
