#include <cstring>
#include <string>

#include "data/listing.h"
#include "fuzz/target.h"

namespace vim::fuzz {
namespace {

void read_all(std::string_view bytes) {
  const auto path = folder() / "train.vimindex";
  write(path, bytes);
  const data::Listing listing(path);
  for (int64_t i = 0; i < listing.size(); ++i) {
    listing.name(i);
    listing.container_of(i);
    if (listing.of_shards()) listing.place(i);
  }
}

// Hashes guard everything.
std::string with_good_hashes(std::string bytes) {
  data::IndexFooter footer;
  if (bytes.size() < sizeof footer) return bytes;
  const size_t end = bytes.size() - sizeof footer;
  std::memcpy(&footer, bytes.data() + end, sizeof footer);
  footer.version = 1;
  if (const auto parts = data::index_parts(bytes, footer)) footer.hashes = data::hashes_of(*parts);
  footer.hash = footer.own_hash();
  std::memcpy(bytes.data() + end, &footer, sizeof footer);
  return bytes;
}

}  // namespace

void read(std::string_view bytes) {
  read_and_mend(bytes, read_all, with_good_hashes);
}

}  // namespace vim::fuzz
