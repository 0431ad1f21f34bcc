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
  Finder(const Tree& tree, const std::vector<FileFacts>& facts, int64_t min_per_class)
      : tree_(tree), facts_(facts), min_per_class_(min_per_class) {}

  std::vector<Finding> run() {
    for (size_t i = 0; i < facts_.size(); ++i) look_at(i);
    compare(equal_files(facts_), /*equal=*/true);
    compare(look_alikes(facts_), /*equal=*/false);
    look_at_classes();
    for (auto& [ending, files] : others_) {
      add(Problem::kNotRead, concat("neither .jpg, .jpeg nor .png but '", ending, "'"),
          std::move(files));
    }
    std::ranges::stable_sort(findings_, {}, &Finding::problem);
    return std::move(findings_);
  }

 private:
  void add(Problem problem, std::string message, std::vector<std::string> files = {}) {
    findings_.push_back({problem, std::move(message), std::move(files)});
  }
  void add(Problem problem, std::string message, size_t file) {
    add(problem, std::move(message), std::vector{tree_.files[file].path});
  }

  void look_at(size_t i) {
    const FileFacts& f = facts_[i];
    const Encoding named = encoding_by_name(tree_.files[i].path);
    if (named == Encoding::kNone) {
      others_[std::filesystem::path(tree_.files[i].path).extension()].push_back(
          tree_.files[i].path);
      return;
    }
    if (!f.error.empty()) return add(Problem::kBroken, f.error, i);
    if (named != f.encoding) {
      add(Problem::kWrongName,
          f.encoding == Encoding::kPng ? "is a PNG by its content" : "is a JPEG by its content", i);
    }
    if (f.orientation != 1) {
      add(Problem::kRotated, concat("EXIF orientation ", f.orientation, ", which training ignores"),
          i);
    }
    if (f.colors == Colors::kCmyk) add(Problem::kCmyk, "CMYK colours", i);
    if (f.colors == Colors::kGrey) add(Problem::kGrey, "grey", i);
    const auto [small, large] = std::minmax(f.width, f.height);
    if (small < kSmallSide || large > kLongStrip * small ||
        int64_t{f.width} * f.height > kManyPixels) {
      add(Problem::kExtremeSize, concat(f.width, " x ", f.height, " pixels"), i);
    }
  }

  // Groups of files that are one image: worse across splits or classes.
  void compare(const std::vector<std::vector<size_t>>& groups, bool equal) {
    const char* what = equal ? "the same file" : "nearly the same image";
    for (const std::vector<size_t>& group : groups) {
      std::set<std::string> splits, labels;
      std::vector<std::string> paths;
      for (const size_t i : group) {
        splits.insert(tree_.files[i].split);
        labels.insert(tree_.files[i].label);
        paths.push_back(tree_.files[i].path);
      }
      const auto names = [](const std::set<std::string>& set) {
        return join(std::vector(set.begin(), set.end()), ", ");
      };
      if (splits.size() > 1) {
        add(Problem::kLeak, concat(what, " in ", names(splits)), paths);
      }
      if (labels.size() > 1) {
        add(Problem::kTwoClasses, concat(what, " in the classes ", names(labels)), paths);
      }
      if (splits.size() == 1 && labels.size() == 1) {
        add(equal ? Problem::kDuplicate : Problem::kLookAlike, what, paths);
      }
    }
  }

  void look_at_classes() {
    std::map<std::pair<std::string, std::string>, int64_t> counts;
    for (const auto& [split, labels] : tree_.classes) {
      for (const std::string& label : labels) counts[{split, label}] = 0;
    }
    for (size_t i = 0; i < facts_.size(); ++i) {
      const FoundFile& file = tree_.files[i];
      if (!file.label.empty() && facts_[i].error.empty()) ++counts[{file.split, file.label}];
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
    for (const auto& [split, labels] : tree_.classes) {
      for (const auto& [other, other_labels] : tree_.classes) {
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

  const Tree& tree_;
  const std::vector<FileFacts>& facts_;
  const int64_t min_per_class_;
  std::vector<Finding> findings_;
  std::map<std::string, std::vector<std::string>> others_;  // by their ending
};

}  // namespace

Report find_problems(const std::filesystem::path& root, const Tree& tree,
                     const std::vector<FileFacts>& facts, int64_t min_per_class) {
  return {root, static_cast<int64_t>(tree.files.size()), Finder(tree, facts, min_per_class).run()};
}

}  // namespace vim::data
