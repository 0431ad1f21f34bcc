#include "data/shard_scan.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "data/input_file.h"
#include "data/tar.h"
#include "vim/core/error.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

// In the order in which they are asked for a label.
constexpr std::array<std::string_view, 3> kLabels = {"cls", "json", "txt"};
constexpr std::array<std::string_view, 3> kImages = {"jpg", "jpeg", "png"};

bool is_one_of(const std::array<std::string_view, 3>& extensions, std::string_view extension) {
  return std::ranges::find(extensions, extension) != extensions.end();
}

// A member's name, up to and from the first dot of its last part; nothing where that is hidden or
// has no dot.
struct KeyAndExtension {
  std::string key, extension;
};

std::optional<KeyAndExtension> split_member_name(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t base = slash == std::string::npos ? 0 : slash + 1;
  const size_t dot = name.find('.', base);
  if (dot == std::string::npos || dot == base) return std::nullopt;
  std::string extension = name.substr(dot + 1);
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return KeyAndExtension{name.substr(0, dot), std::move(extension)};
}

// Goes through a shard once.
class Scan {
 public:
  Scan(const fs::path& root, const std::string& path) : file_(root / path), reader_(file_) {
    found_.container = stat_container(root, path);
    while (const auto member = reader_.next()) {
      if (member->kind != TarMember::Kind::kOther) add(*member);
    }
    finish_sample();
  }

  ScannedShard take() { return std::move(found_); }

 private:
  [[noreturn]] void fail(const std::string& name, std::string_view reason) const {
    throw Error(concat(file_.path().string(), ", ", name, ": ", reason));
  }

  void add(const TarMember& member) {
    const auto name = split_member_name(member.name);
    if (!name) return;
    if (name->key != key_) {
      finish_sample();
      key_ = name->key;
    }
    if (is_one_of(kImages, name->extension)) {
      if (image_) fail(key_, "the sample has two images");
      image_ = member;
    } else if (is_one_of(kLabels, name->extension)) {
      if (!label_members_.emplace(name->extension, member).second) {
        fail(member.name, "is there twice");
      }
    }
  }

  void finish_sample() {
    if (image_) {
      add_sample();
    } else if (!key_.empty()) {
      ++found_.without_image;
    }
    image_.reset();
    label_members_.clear();
  }

  void add_sample() {
    if (image_->kind == TarMember::Kind::kHardLink) {
      fail(image_->name, "is a link to another file; write the shard with --hard-dereference");
    }
    if (image_->size > std::numeric_limits<uint32_t>::max()) fail(image_->name, "is too large");
    found_.names.append(image_->name).push_back('\0');
    found_.places.push_back(
        {image_->offset, static_cast<uint32_t>(image_->size), index_of(read_label())});
  }

  ShardLabel read_label() {
    for (const std::string_view extension : kLabels) {
      const auto member = label_members_.find(extension);
      if (member == label_members_.end()) continue;
      const std::string content = reader_.content(member->second);
      try {
        if (auto label = parse_label(extension, content)) return *std::move(label);
      } catch (const Error& error) {
        fail(member->second.name, error.what());
      }
    }
    fail(key_,
         "the sample has no label; there is to be a .cls, a .txt or a .json with \"label\" beside "
         "the image");
  }

  uint32_t index_of(const ShardLabel& label) {
    const auto [place, is_new] =
        label_indices_.emplace(label, static_cast<uint32_t>(found_.labels.size()));
    if (is_new) found_.labels.push_back(label);
    return place->second;
  }

  InputFile file_;
  TarReader reader_;
  ScannedShard found_;
  std::map<ShardLabel, uint32_t> label_indices_;

  std::string key_;  // of the sample in the making
  std::optional<TarMember> image_;
  std::map<std::string, TarMember, std::less<>> label_members_;
};

}  // namespace

ScannedShard scan_shard(const fs::path& root, const std::string& path) {
  return Scan(root, path).take();
}

ListingParts merge(std::vector<ScannedShard> shards, const fs::path& root) {
  std::vector<ShardLabel> labels;
  for (const ScannedShard& shard : shards) {
    labels.insert(labels.end(), shard.labels.begin(), shard.labels.end());
  }
  ShardClasses classes;
  try {
    classes = classes_of(labels);
  } catch (const Error& error) {
    throw Error(concat(root.string(), ": ", error.what()));
  }
  ListingParts all;
  all.classes = std::move(classes.names);
  for (ScannedShard& shard : shards) {
    shard.container.first = all.images;
    all.containers.push_back(std::move(shard.container));
    std::string_view names = shard.names;
    for (Place place : shard.places) {
      place.label = classes.numbers.at(shard.labels[place.label]);
      all.places.push_back(place);
      const std::string_view name = names.substr(0, names.find('\0'));
      all.add_image(name);
      names.remove_prefix(name.size() + 1);
    }
    shard = {};  // its memory
  }
  return all;
}

}  // namespace vim::data
