#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>

#include "data/datasets.h"
#include "data/listing.h"
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

struct Entries {
  std::vector<std::string> folders, files;  // names, in the order of their bytes
};

Entries entries_of(const fs::path& folder) {
  Entries found;
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

// Walks through the folders of a split; each becomes a container.
class Walk {
 public:
  explicit Walk(const fs::path& root) : root_(root) {
    if (!fs::is_directory(root_)) {
      throw Error(concat(root_.string(), ": there is no such folder; data.root is to hold ",
                         root_.filename().string(), "/<class>/<image>"));
    }
    add_container(stat_container(root_, ""));  // so that an index knows of new classes
    parts_.classes = entries_of(root_).folders;
    if (parts_.classes.empty()) {
      throw Error(concat(root_.string(), ": has no class folders; put the images into ",
                         root_.string(), "/<class>/"));
    }
    for (const std::string& name : parts_.classes) add_class(name);
    for (const auto& [extension, count] : left_out_) {
      log::warning(concat(root_.string(), ": ", with_separators(count), " ", extension,
                          " files are left out; only JPEG and PNG are read"));
    }
  }

  ListingParts take() { return std::move(parts_); }

 private:
  struct Folder {
    Container container;
    std::vector<std::string> files;
  };
  // By path; a path ends in '/', so that they are in the order of os.walk's sorted folders.
  using Tree = std::map<std::string, Folder>;

  void walk(const std::string& path, Tree& tree) const {
    const Container container = stat_container(root_, path);
    Entries found = entries_of(root_ / path);
    tree[path] = {container, std::move(found.files)};
    for (const std::string& name : found.folders) walk(path + name + "/", tree);
  }

  void add_class(const std::string& name) {
    Tree tree;
    walk(name + "/", tree);
    const int64_t before = parts_.images;
    for (const auto& [path, folder] : tree) {
      add_container(folder.container);
      for (const std::string& file : folder.files) {
        const std::string extension = lower_extension(file);
        if (contains(kOther, extension)) ++left_out_[extension];
        if (contains(kDecoded, extension)) parts_.add_image(file);
      }
    }
    if (parts_.images == before) {
      throw Error(concat((root_ / name).string(),
                         ": this class has no JPEG or PNG file; add some or remove the folder"));
    }
    ++label_;
  }

  void add_container(Container container) {
    container.label = label_;
    container.first = parts_.images;
    parts_.containers.push_back(std::move(container));
  }

  fs::path root_;
  uint32_t label_ = 0;
  ListingParts parts_;
  std::map<std::string, int64_t> left_out_;
};

class ImageFolder : public StoredDataset {
 public:
  ImageFolder(const fs::path& folder, const fs::path& index, const ReadOptions& options)
      : StoredDataset(options),
        folder_(folder),
        listing_(indexed_or(index, folder, {}, [&] { return Walk(folder).take(); })) {}

  int64_t size() const override { return listing_->size(); }

  StoredImage stored(int64_t id) const override { return {.file = read_file(path_of(id))}; }

  int64_t label(int64_t id) const override { return listing_->container_of(id).label; }

  std::string name(int64_t id) const override { return path_of(id).string(); }

  const std::vector<std::string>& classes() const override { return listing_->classes(); }

 private:
  fs::path path_of(int64_t id) const {
    return folder_ / listing_->container_of(id).path / listing_->name(id);
  }

  fs::path folder_;
  std::unique_ptr<const Listing> listing_;
};

}  // namespace

ListingParts list_image_folder(const fs::path& root, Split split) {
  return Walk(root / split_name(split)).take();
}

std::unique_ptr<Dataset> open_image_folder(const fs::path& root, Split split,
                                           const ReadOptions& options, const fs::path& index) {
  return std::make_unique<ImageFolder>(root / split_name(split), index, options);
}

}  // namespace vim::data
