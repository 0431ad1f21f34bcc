#include "data/listing.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/hash.h"
#include "vim/core/log.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "vim-list";
constexpr int64_t kStride = 16;  // names from one start to the next

// A container in the file.
struct Record {
  uint64_t path = 0;  // offset in the text
  int64_t modified = 0;
  uint64_t size = 0, first = 0, label = 0;
};

template <class T>
std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

// The other way round: of a part of the file, which holds whole values.
template <class T>
std::span<const T> values_in(std::string_view bytes) {
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

uint64_t starts_of(uint64_t images) {
  return images / kStride + (images % kStride != 0);
}

// Up to a 0 or the end.
std::string_view text_at(std::string_view text, uint64_t offset) {
  const std::string_view rest = text.substr(std::min<uint64_t>(offset, text.size()));
  return rest.substr(0, rest.find('\0'));
}

// Why the index is not of what is there now; empty where it is.
std::string difference(const Listing& listing, const fs::path& root,
                       const std::vector<std::string>& shards) {
  if (listing.of_shards() == shards.empty()) {
    return shards.empty() ? "it is of shards" : "it is of folders";
  }
  if (!shards.empty() &&
      !std::ranges::equal(shards, listing.containers(), {}, {}, &Container::path)) {
    return "there are other shards now";
  }
  for (const Container& expected : listing.containers()) {
    Container now;
    try {
      now = stat_container(root, expected.path);
    } catch (const Error& error) {
      return error.what();
    }
    if (now.modified != expected.modified || now.size != expected.size) {
      return concat((root / expected.path).string(), " has changed");
    }
  }
  return "";
}

}  // namespace

uint64_t IndexFooter::own_hash() const {
  return hash64(this, offsetof(IndexFooter, hash));
}

std::optional<IndexParts> index_parts(std::string_view file, const IndexFooter& f) {
  if (!file.starts_with(kMagic) || file.size() < kMagic.size() + sizeof f) return std::nullopt;
  std::string_view rest = file.substr(kMagic.size(), file.size() - kMagic.size() - sizeof f);
  const std::array<std::pair<uint64_t, size_t>, 5> counts = {
      {{starts_of(f.images), sizeof(uint64_t)},
       {f.places, sizeof(Place)},
       {f.containers, sizeof(Record)},
       {f.names, 1},
       {f.text, 1}}};
  IndexParts parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto [count, size] = counts[i];
    if (count > rest.size() / size) return std::nullopt;
    parts[i] = rest.substr(0, count * size);
    rest.remove_prefix(parts[i].size());
  }
  if (!rest.empty()) return std::nullopt;
  return parts;
}

std::array<uint64_t, 5> hashes_of(const IndexParts& parts) {
  std::array<uint64_t, 5> hashes;
  std::ranges::transform(parts, hashes.begin(), [](std::string_view part) { return hash64(part); });
  return hashes;
}

Container stat_container(const fs::path& root, const std::string& path) {
  struct stat status {};
  const fs::path whole = root / path;
  if (::stat(whole.c_str(), &status) != 0) {
    throw Error(concat(whole.string(), ": cannot be read: ", std::strerror(errno)));
  }
  Container container;
  container.path = path;
  container.modified =
      int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + int64_t{status.st_mtim.tv_nsec};
  if (S_ISREG(status.st_mode)) container.size = static_cast<uint64_t>(status.st_size);
  return container;
}

void ListingParts::add_image(std::string_view name) {
  if (images++ % kStride == 0) starts.push_back(names.size());
  names.append(name).push_back('\0');
}

Listing::Listing(ListingParts parts)
    : parts_(std::move(parts)),
      images_(parts_.images),
      classes_(std::move(parts_.classes)),
      containers_(std::move(parts_.containers)) {
  parts_.names.shrink_to_fit();
  parts_.starts.shrink_to_fit();
  parts_.places.shrink_to_fit();
  starts_ = parts_.starts;
  places_ = parts_.places;
  names_ = parts_.names;
}

Listing::Listing(const fs::path& index) : file_(std::in_place, index) {
  const auto require = [&](bool good, const char* reason) {
    if (!good) throw Error(concat(index.string(), ": ", reason));
  };
  const std::string_view bytes = file_->bytes();
  IndexFooter f;
  require(bytes.starts_with(kMagic), "is no index");
  require(bytes.size() >= kMagic.size() + sizeof f, "ends too early");
  std::memcpy(&f, bytes.data() + bytes.size() - sizeof f, sizeof f);
  require(f.hash == f.own_hash(), "ends too early, or its end is damaged");
  require(f.version == 1, "was written by a newer version");

  const auto parts = index_parts(bytes, f);
  require(parts && (f.places == 0 || f.places == f.images) && f.images <= f.names, "is damaged");
  require(hashes_of(*parts) == f.hashes, "is damaged");

  const auto [starts, places, records, names, words] = *parts;
  images_ = static_cast<int64_t>(f.images);
  starts_ = values_in<uint64_t>(starts);
  places_ = values_in<Place>(places);
  names_ = names;
  uint64_t after = 0;  // the paths
  int64_t first = 0;
  for (const Record& r : values_in<Record>(records)) {
    const Container c = {std::string(text_at(words, r.path)), r.modified, r.size,
                         static_cast<uint32_t>(r.label), static_cast<int64_t>(r.first)};
    require(c.first >= first && c.first <= images_, "is damaged");
    first = c.first;
    after = r.path + c.path.size() + 1;
    containers_.push_back(c);
  }
  require(images_ == 0 || (!containers_.empty() && containers_[0].first == 0), "is damaged");
  for (uint64_t i = 0; i < f.classes && after < words.size(); ++i) {
    classes_.emplace_back(text_at(words, after));
    after += classes_.back().size() + 1;
  }
  require(classes_.size() == f.classes, "is damaged");
  check_labels(index);
}

void Listing::check_labels(const fs::path& index) const {
  const auto good = [&](const auto& labelled) { return labelled.label < classes_.size(); };
  const bool all =
      places_.empty() ? std::ranges::all_of(containers_, good) : std::ranges::all_of(places_, good);
  if (!all) throw Error(concat(index.string(), ": has a label without a class"));
}

std::string_view Listing::name(int64_t image) const {
  VIM_CHECK(image >= 0 && image < images_);
  std::string_view rest =
      names_.substr(std::min<uint64_t>(starts_[image / kStride], names_.size()));
  for (int64_t i = 0; i < image % kStride; ++i) {
    rest.remove_prefix(std::min(rest.find('\0'), rest.size() - 1) + 1);
  }
  return rest.substr(0, rest.find('\0'));
}

const Container& Listing::container_of(int64_t image) const {
  const auto next = std::ranges::upper_bound(containers_, image, {}, &Container::first);
  VIM_CHECK(next != containers_.begin());
  return *std::prev(next);
}

Place Listing::place(int64_t image) const {
  VIM_CHECK(image >= 0 && image < std::ssize(places_));
  return places_[image];
}

void Listing::write(const fs::path& index) const {
  std::string text;
  std::vector<Record> records;
  for (const Container& c : containers_) {
    records.push_back({text.size(), c.modified, c.size, static_cast<uint64_t>(c.first), c.label});
    text += c.path + '\0';
  }
  for (const std::string& name : classes_) text += name + '\0';
  const IndexParts parts = {bytes_of(starts_), bytes_of(places_),
                            bytes_of(std::span<const Record>(records)), names_, text};
  IndexFooter footer;
  footer.images = static_cast<uint64_t>(images_);
  footer.places = places_.size();
  footer.containers = records.size();
  footer.classes = classes_.size();
  footer.names = names_.size();
  footer.text = text.size();
  footer.hashes = hashes_of(parts);
  footer.hash = footer.own_hash();
  write_atomically(index, [&](FileWriter& file) {
    file.write(kMagic);
    for (const std::string_view part : parts) file.write(part);
    file.write(&footer, sizeof footer);
  });
}

std::unique_ptr<const Listing> indexed_or(const fs::path& index, const fs::path& root,
                                          const std::vector<std::string>& shards,
                                          const std::function<ListingParts()>& list) {
  if (fs::exists(index)) {
    auto listing = std::make_unique<const Listing>(index);
    const std::string reason = difference(*listing, root, shards);
    if (reason.empty()) return listing;
    log::warning(concat(index.string(), ": is not used, since ", reason,
                        "; write it anew with `vim-data index`"));
  }
  return std::make_unique<const Listing>(list());
}

}  // namespace vim::data
