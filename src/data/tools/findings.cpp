#include "data/tools/findings.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <span>
#include <unordered_map>

#include "data/tools/twins.h"
#include "vim/core/text.h"

namespace vim::data {
namespace {

constexpr int kSmallSide = 32, kLongStrip = 10;
constexpr int64_t kManyPixels = 50'000'000;

class Finder {
 public:
  Finder(const Inventory& inventory, const std::vector<FileFacts>& facts, int64_t min_per_class)
      : inventory_(inventory), facts_(facts), min_per_class_(min_per_class) {}

  std::vector<Finding> run() {
    for (size_t i = 0; i < facts_.size(); ++i) look_at(i);
    compare(equal_files(facts_), Problem::kDuplicate, "the same file");
    const LookAlikes alike = look_alikes(facts_);
    compare(alike.as_they_are, Problem::kLookAlike, "nearly the same image");
    compare(alike.mirrored, Problem::kMirrored, "nearly the same image, mirrored");
    look_at_classes();
    for (auto& [ending, items] : others_) {
      add(Problem::kNotRead, concat("neither .jpg, .jpeg nor .png but '", ending, "'"),
          std::move(items));
    }
    std::ranges::stable_sort(findings_, {}, &Finding::problem);
    return std::move(findings_);
  }

 private:
  void add(Problem problem, std::string message, std::vector<size_t> items = {}) {
    findings_.push_back({problem, std::move(message), std::move(items)});
  }

  void look_at(size_t i) {
    const FileFacts& f = facts_[i];
    const Item& item = inventory_.items[i];
    if (item.named == Encoding::kNone) {
      others_[std::filesystem::path(item.path).extension()].push_back(i);
      return;
    }
    if (!f.error.empty()) return add(Problem::kBroken, f.error, {i});
    if (item.named && item.named != f.encoding) {
      add(Problem::kWrongName,
          f.encoding == Encoding::kPng ? "is a PNG by its content" : "is a JPEG by its content",
          {i});
    }
    if (f.orientation != 1) {
      add(Problem::kRotated,
          concat("EXIF orientation ", f.orientation,
                 ", which training ignores without data.exif_transpose"),
          {i});
    }
    if (f.colors == Colors::kCmyk) add(Problem::kCmyk, "CMYK colours", {i});
    if (f.colors == Colors::kGrey) add(Problem::kGrey, "grey", {i});
    const auto [small, large] = std::minmax(f.width, f.height);
    if (small < kSmallSide || large > kLongStrip * small ||
        int64_t{f.width} * f.height > kManyPixels) {
      add(Problem::kExtremeSize, concat(f.width, " x ", f.height, " pixels"), {i});
    }
  }

  // Groups of items that are one image: worse across splits or classes.
  void compare(const Groups& groups, Problem problem, const std::string& what) {
    for (const std::vector<size_t>& group : groups) {
      std::set<std::string> splits, labels;
      for (const size_t i : group) {
        splits.insert(inventory_.items[i].split);
        labels.insert(inventory_.items[i].label);
      }
      const auto names = [](const std::set<std::string>& set) {
        return join(std::vector(set.begin(), set.end()), ", ");
      };
      if (splits.size() > 1) {
        add(Problem::kLeak, concat(what, " in ", names(splits)), group);
      }
      if (labels.size() > 1) {
        add(Problem::kTwoClasses, concat(what, " in the classes ", names(labels)), group);
      }
      if (splits.size() == 1 && labels.size() == 1) {
        add(problem, what, group);
      }
    }
  }

  void look_at_classes() {
    std::map<std::pair<std::string, std::string>, int64_t> counts;
    for (const auto& [split, labels] : inventory_.classes) {
      for (const std::string& label : labels) counts[{split, label}] = 0;
    }
    for (size_t i = 0; i < facts_.size(); ++i) {
      const Item& item = inventory_.items[i];
      if (!item.label.empty() && facts_[i].error.empty()) ++counts[{item.split, item.label}];
    }
    for (const auto& [place, count] : counts) {
      const auto& [split, label] = place;
      const std::string name = split.empty() ? label : concat(split, "/", label);
      if (count == 0) {
        add(Problem::kEmptyClass, concat(name, " has no image that can be read"));
      } else if (split != "val" && split != "test" && count < min_per_class_) {
        add(Problem::kTinyClass,
            concat(name, " has only ", count, count == 1 ? " image" : " images"));
      }
    }
    look_for_missing_classes();
  }

  void look_for_missing_classes() {
    for (const auto& [split, labels] : inventory_.classes) {
      for (const auto& [other, other_labels] : inventory_.classes) {
        if (split.empty() || other.empty() || split == other) continue;
        for (const std::string& label : labels) {
          if (std::ranges::find(other_labels, label) == other_labels.end()) {
            add(Problem::kMissingClass,
                concat(label, " is a class of ", split, " and not of ", other));
          }
        }
      }
    }
  }

  const Inventory& inventory_;
  const std::vector<FileFacts>& facts_;
  const int64_t min_per_class_;
  std::vector<Finding> findings_;
  std::map<std::string, std::vector<size_t>> others_;  // by their ending
};

}  // namespace

Report find_problems(const Inventory& inventory, const std::vector<FileFacts>& facts,
                     int64_t min_per_class) {
  return {inventory, Finder(inventory, facts, min_per_class).run()};
}

}  // namespace vim::data
