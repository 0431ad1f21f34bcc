#include "data/packed.h"

#include <cstring>
#include <string>

#include "data/datasets.h"
#include "fuzz/target.h"
#include "vim/core/error.h"
#include "vim/core/hash.h"
#include "vim/data/sample.h"

namespace vim::fuzz {
namespace {

void read_all(std::string_view bytes) {
  write(folder() / "train.vimpack", bytes);
  const auto dataset = data::open_packed(folder(), data::Split::kTrain, {});
  for (int64_t i = 0; i < dataset->size(); ++i) {
    try {
      dataset->name(i);
      dataset->read(i);
    } catch (const Error&) {  // the others are read all the same
    }
  }
}

// Hashes guard everything.
std::string with_good_hashes(std::string bytes) {
  data::PackFooter footer;
  if (bytes.size() < sizeof footer) return bytes;
  const size_t end = bytes.size() - sizeof footer;
  std::memcpy(&footer, bytes.data() + end, sizeof footer);
  footer.version = 1;
  if (footer.index <= end) {
    for (size_t at = footer.index; at + sizeof(data::PackEntry) <= end;
         at += sizeof(data::PackEntry)) {
      if ((at - footer.index) / sizeof(data::PackEntry) >= footer.images) break;
      data::PackEntry entry;
      std::memcpy(&entry, bytes.data() + at, sizeof entry);
      if (entry.offset > footer.index || entry.size > footer.index - entry.offset) continue;
      entry.hash = hash64(bytes.data() + entry.offset, entry.size);
      std::memcpy(bytes.data() + at, &entry, sizeof entry);
    }
    footer.index_hash = hash64(bytes.data() + footer.index, end - footer.index);
  }
  footer.hash = hash64(&footer, offsetof(data::PackFooter, hash));
  std::memcpy(bytes.data() + end, &footer, sizeof footer);
  return bytes;
}

}  // namespace

void read(std::string_view bytes) {
  read_and_mend(bytes, read_all, with_good_hashes);
}

}  // namespace vim::fuzz
