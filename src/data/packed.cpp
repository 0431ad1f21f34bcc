#include "data/packed.h"

#include <bit>
#include <cstring>

#include "data/datasets.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/hash.h"
#include "vim/core/text.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "vim-pack";

template <class T>
std::string_view as_bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

uint64_t footer_hash(const PackFooter& footer) {
  return hash64(&footer, offsetof(PackFooter, hash));
}

}  // namespace

PackedFile::PackedFile(const fs::path& path) : path_(path), file_(path), bytes_(file_.bytes()) {
  if (!bytes_.starts_with(kMagic)) fail("is no packed file");
  if (bytes_.size() < kMagic.size() + sizeof footer_) fail("ends too early");
  const uint64_t end = bytes_.size() - sizeof footer_;
  std::memcpy(&footer_, bytes_.data() + end, sizeof footer_);
  if (footer_.hash != footer_hash(footer_)) fail("ends too early, or its end is damaged");
  if (footer_.version != 1) fail("was written by a newer version");
  const PackFooter& f = footer_;
  if (f.index > end || f.images > (end - f.index) / sizeof(PackEntry) || f.classes > end ||
      hash64(bytes_.data() + f.index, end - f.index) != f.index_hash) {
    fail("its index is damaged");
  }
  for (uint64_t at = f.classes; at < end; at += classes_.back().size() + 1) {
    classes_.emplace_back(text_at(at));
  }
}

void PackedFile::fail(std::string_view reason) const {
  throw Error(concat(path_.string(), ": ", reason));
}

std::string_view PackedFile::text_at(uint64_t offset) const {
  const uint64_t end = bytes_.size() - sizeof footer_;
  if (offset >= end) fail("its index is damaged");
  const std::string_view rest = bytes_.substr(offset, end - offset);
  return rest.substr(0, rest.find('\0'));
}

PackEntry PackedFile::entry(int64_t i) const {
  VIM_CHECK(i >= 0 && i < size());
  PackEntry entry;
  std::memcpy(&entry, bytes_.data() + footer_.index + static_cast<uint64_t>(i) * sizeof entry,
              sizeof entry);
  return entry;
}

std::string_view PackedFile::name(int64_t i) const {
  return text_at(entry(i).name);
}

std::string_view PackedFile::record(int64_t i) const {
  const PackEntry e = entry(i);
  if (e.offset > footer_.index || e.size > footer_.index - e.offset) fail("its index is damaged");
  const std::string_view bytes = bytes_.substr(e.offset, e.size);
  const uint64_t pixels = uint64_t{e.width} * e.height;
  const bool is_image = e.channels == 1 || e.channels == 3;
  if (e.channels != 0 &&
      (!is_image || pixels == 0 || pixels > kMaxPixels || pixels * e.channels != e.size)) {
    fail("its index is damaged");
  }
  if (hash64(bytes) != e.hash) throw Error("the record is damaged: its hash is another");
  return bytes;
}

cv::Mat pixels_of(const PackEntry& entry, std::string_view record) {
  return {static_cast<int>(entry.height), static_cast<int>(entry.width),
          CV_8UC(static_cast<int>(entry.channels)), const_cast<char*>(record.data())};
}

PackWriter::PackWriter(FileWriter& file) : file_(file) {
  write(kMagic);
}

void PackWriter::write(std::string_view bytes) {
  file_.write(bytes);
  offset_ += bytes.size();
}

void PackWriter::add(const PackedImage& image) {
  entries_.push_back({.offset = offset_,
                      .size = image.bytes.size(),
                      .hash = hash64(image.bytes),
                      .name = names_.size(),
                      .label = image.label,
                      .width = image.width,
                      .height = image.height,
                      .channels = image.channels});
  names_ += image.name;
  names_ += '\0';
  write(image.bytes);
}

void PackWriter::finish(const std::vector<std::string>& classes) {
  PackFooter footer;
  footer.images = entries_.size();
  footer.index = offset_;
  const uint64_t names = offset_ + entries_.size() * sizeof(PackEntry);
  footer.classes = names + names_.size();
  for (const std::string& name : classes) names_ += name + '\0';
  std::string index;
  for (PackEntry& entry : entries_) {
    entry.name += names;
    index += as_bytes_of(entry);
  }
  index += names_;
  footer.index_hash = hash64(index);
  footer.hash = footer_hash(footer);
  write(index);
  write(as_bytes_of(footer));
}

namespace {

class Packed : public StoredDataset {
 public:
  Packed(const fs::path& path, const ReadOptions& options)
      : StoredDataset(options), path_(path), file_(path) {
    for (int64_t i = 0; i < file_.size(); ++i) {
      if (file_.entry(i).label >= file_.classes().size()) {
        throw Error(concat(path.string(), ": image ", i, " has a label without a class"));
      }
    }
  }

  int64_t size() const override { return file_.size(); }

  StoredImage stored(int64_t id) const override {
    try {
      const std::string_view bytes = file_.record(id);
      const PackEntry entry = file_.entry(id);
      if (entry.channels == 0) return {.file = std::string(bytes)};
      return {.pixels = pixels_of(entry, bytes)};
    } catch (const Error& error) {
      throw Error(concat(name(id), ": ", error.what()));
    }
  }

  int64_t label(int64_t id) const override { return file_.entry(id).label; }

  std::string name(int64_t id) const override {
    return concat(path_.string(), ", ", file_.name(id));
  }

  const std::vector<std::string>& classes() const override { return file_.classes(); }

 private:
  fs::path path_;
  PackedFile file_;
};

}  // namespace

fs::path packed_file(const fs::path& root, Split split) {
  return root / concat(split_name(split), kPackSuffix);
}

std::unique_ptr<Dataset> open_packed(const fs::path& root, Split split,
                                     const ReadOptions& options) {
  return std::make_unique<Packed>(packed_file(root, split), options);
}

}  // namespace vim::data
