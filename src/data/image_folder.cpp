#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>

#include "data/codecs.h"
#include "data/datasets.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

constexpr std::array<std::string_view, 3> kDecoded = {".jpg", ".jpeg", ".png"};
// What torchvision would take besides.
constexpr std::array<std::string_view, 6> kOther = {".ppm", ".bmp",  ".pgm",
                                                    ".tif", ".tiff", ".webp"};

bool contains(std::span<const std::string_view> list, std::string_view item) {
  return std::ranges::find(list, item) != list.end();
}

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

bool is_hidden(const fs::path& path) {
  return path.filename().native().starts_with('.');
}

struct Listing {
  std::vector<std::string> folders, files;  // names, in the order of their bytes
};

class ImageFolder : public Dataset {
 public:
  ImageFolder(const fs::path& root, Split split, int channels)
      : folder_(root / (split == Split::kTrain ? "train" : "val")), channels_(channels) {
    if (!fs::is_directory(folder_)) {
      throw Error(concat(folder_.string(), ": there is no such folder; data.root is to hold ",
                         folder_.filename().string(), "/<class>/<image>"));
    }
    classes_ = list(folder_).folders;
    if (classes_.empty()) {
      throw Error(concat(folder_.string(), ": has no class folders; put the images into ",
                         folder_.string(), "/<class>/"));
    }
    for (const std::string& name : classes_) add_class(name);
    names_.shrink_to_fit();
    starts_.shrink_to_fit();
    report_left_out();
  }

  int64_t size() const override { return static_cast<int64_t>(starts_.size()); }

  Sample get(int64_t id) const override { return {read_image(path(id), channels_), label(id), id}; }

  Sample read(int64_t id) const override {
    std::string bytes = read_file(path(id));
    if (!is_jpeg(bytes)) return get(id);
    return {{}, label(id), id, std::move(bytes), channels_};
  }

  std::string name(int64_t id) const override { return path(id).string(); }

  const std::vector<std::string>& classes() const override { return classes_; }

 private:
  static Listing list(const fs::path& folder) {
    Listing found;
    try {
      for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        if (is_hidden(entry.path())) continue;
        auto& names = entry.is_directory() ? found.folders : found.files;
        names.push_back(entry.path().filename().string());
      }
    } catch (const fs::filesystem_error& error) {
      throw Error(concat(folder.string(), ": cannot be listed: ", error.code().message()));
    }
    std::ranges::sort(found.folders);
    std::ranges::sort(found.files);
    return found;
  }

  // Files by the folder they are in, a path from the class folder on that is empty or ends in '/'.
  using Tree = std::map<std::string, std::vector<std::string>>;

  void walk(const fs::path& class_folder, const std::string& below, Tree& tree) const {
    Listing found = list(class_folder / below);
    tree[below] = std::move(found.files);
    for (const std::string& name : found.folders) walk(class_folder, below + name + "/", tree);
  }

  void add_class(const std::string& class_name) {
    Tree tree;
    walk(folder_ / class_name, "", tree);
    first_of_class_.push_back(size());
    for (const auto& [below, files] : tree) {
      for (const std::string& name : files) {
        const std::string extension = lower_extension(name);
        if (contains(kOther, extension)) ++left_out_[extension];
        if (!contains(kDecoded, extension)) continue;
        starts_.push_back(names_.size());
        names_.append(below).append(name).push_back('\0');
      }
    }
    if (size() == first_of_class_.back()) {
      throw Error(concat((folder_ / class_name).string(),
                         ": this class has no JPEG or PNG file; add some or remove the folder"));
    }
  }

  void report_left_out() const {
    for (const auto& [extension, count] : left_out_) {
      log::warning(concat(folder_.string(), ": ", with_separators(count), " ", extension,
                          " files are left out; only JPEG and PNG are read"));
    }
  }

  int64_t label(int64_t id) const {
    return std::ranges::upper_bound(first_of_class_, id) - first_of_class_.begin() - 1;
  }

  fs::path path(int64_t id) const { return folder_ / classes_[label(id)] / &names_[starts_[id]]; }

  fs::path folder_;
  int channels_;
  std::vector<std::string> classes_;
  std::vector<int64_t> first_of_class_;
  std::string names_;             // of all files, each from its class folder on, each ended by a 0
  std::vector<uint64_t> starts_;  // in names_
  std::map<std::string, int64_t> left_out_;
};

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const fs::path& root, Split split, int channels) {
  return std::make_unique<ImageFolder>(root, split, channels);
}

}  // namespace vim::data
