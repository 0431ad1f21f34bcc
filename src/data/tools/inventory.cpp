#include "data/tools/inventory.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "data/datasets.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

bool is_split(const std::string& name) {
  constexpr std::array<std::string_view, 5> kSplits = {"train", "val", "valid", "validation",
                                                       "test"};
  return std::ranges::find(kSplits, name) != kSplits.end();
}

void walk(const fs::path& root, const std::string& below, const Item& place, Inventory& inventory) {
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
    inventory.items.push_back({below + name, place.split, place.label, encoding_by_name(name)});
  }
  for (const std::string& name : folders) {
    Item inner = place;
    if (below.empty() && is_split(name)) {
      inner.split = name;
    } else if (place.label.empty()) {
      inner.label = name;
      inventory.classes[place.split].push_back(name);
    }
    walk(root, below + name + "/", inner, inventory);
  }
}

void add_split(const DataConfig& config, Split split, Inventory& inventory) {
  std::unique_ptr<const Dataset> dataset = open_dataset(config, split);
  const std::string prefix = (inventory.root / "").string();
  for (int64_t id = 0; id < dataset->size(); ++id) {
    Item& item = inventory.items.emplace_back();
    item.path = dataset->name(id);
    if (item.path.starts_with(prefix)) item.path.erase(0, prefix.size());
    item.split = split_name(split);
    item.label = dataset->classes().at(dataset->label(id));
    // A packed file may hold something else under the name of the file that it was made from.
    if (config.format != Format::kPacked) item.named = encoding_by_name(item.path);
  }
  inventory.classes[split_name(split)] = dataset->classes();
  inventory.datasets.push_back(std::move(dataset));
}

}  // namespace

Inventory take_inventory(const fs::path& root) {
  if (!fs::is_directory(root)) throw Error(concat(root.string(), ": there is no such folder"));
  Inventory inventory;
  inventory.root = root;
  walk(root, "", {}, inventory);
  return inventory;
}

Inventory take_inventory(const DataConfig& config) {
  if (config.format == Format::kImageFolder) return take_inventory(fs::path(config.root));
  Inventory inventory;
  inventory.root = config.root;
  for (const Split split : {Split::kTrain, Split::kVal}) {
    if (has_split(config, split)) add_split(config, split, inventory);
  }
  if (inventory.datasets.empty()) open_dataset(config, Split::kTrain);  // says what is missing
  return inventory;
}

StoredImage Inventory::read(size_t item) const {
  if (datasets.empty()) return {.file = read_file(root / items[item].path)};
  auto id = static_cast<int64_t>(item);
  auto dataset = datasets.begin();
  for (; id >= (*dataset)->size(); ++dataset) id -= (*dataset)->size();
  return (*dataset)->stored(id);
}

}  // namespace vim::data
