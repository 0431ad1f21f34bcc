#include <iostream>

#include "data/encode.h"
#include "data/packed.h"
#include "data/shard_scan.h"
#include "data/tools/parallel.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
#include "vim/data/commands.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

// Below `root`, whatever the file says.
fs::path safe_path(const fs::path& root, std::string_view name, bool raw) {
  fs::path path = fs::path(name).lexically_normal();
  if (path.empty() || path.is_absolute() || *path.begin() == "..") {
    throw Error(concat("'", name, "' would be written outside of ", root.string()));
  }
  if (raw) path += ".png";
  return root / path;
}

void list_packed(const fs::path& path) {
  const PackedFile file(path);
  for (int64_t i = 0; i < file.size(); ++i) {
    const PackEntry entry = file.entry(i);
    std::cout << file.name(i) << "\t"
              << (entry.label < file.classes().size() ? file.classes()[entry.label] : "?") << "\t";
    if (entry.channels != 0) std::cout << entry.width << " x " << entry.height << "\t";
    std::cout << entry.size << "\n";
  }
}

void list_shard(const fs::path& path) {
  const ScannedShard shard = scan_shard(path.parent_path(), path.filename().string());
  std::string_view names = shard.names;
  for (const Place& place : shard.places) {
    const std::string_view name = names.substr(0, names.find('\0'));
    names.remove_prefix(name.size() + 1);
    std::cout << name << "\t" << shard.labels[place.label].text << "\t" << place.size << "\n";
  }
}

}  // namespace

void unpack(const UnpackCommand& c) {
  const PackedFile file(c.file);
  for_each_in_parallel(file.size(), c.workers, "unpack", [&](int64_t i) {
    const PackEntry entry = file.entry(i);
    try {
      const std::string_view bytes = file.record(i);
      const fs::path path = safe_path(c.output, file.name(i), entry.channels != 0);
      fs::create_directories(path.parent_path());
      if (entry.channels == 0) return write_atomically(path, bytes);
      write_atomically(path, encode_png(pixels_of(entry, bytes)));
    } catch (const Error& error) {
      throw Error(concat(c.file.string(), ", ", file.name(i), ": ", error.what()));
    }
  });
}

void list(const fs::path& path) {
  path.extension() == kPackSuffix ? list_packed(path) : list_shard(path);
}

}  // namespace vim::data
