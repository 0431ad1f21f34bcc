// Ten million images from an index: how long until the first of an epoch is known, and in how much
// memory. bench_listing [IMAGES]
#include "data/listing.h"

#include <malloc.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>

#include "data/shuffle.h"
#include "vim/core/text.h"
#include "vim/data/dataset.h"

namespace fs = std::filesystem;
using namespace vim::data;

namespace {

constexpr int64_t kClasses = 1000;

// Memory of this process's own; an index file is shared by all that read it.
double own_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

// Folders of a training split without the files, and the index that there would be with them, named
// as ImageNet's.
void make_index(const fs::path& root, int64_t images) {
  ListingParts parts;
  const auto add_container = [&](const std::string& path, int64_t label) {
    fs::create_directories(root / "train" / path);
    Container container;
    container.path = path;
    container.label = static_cast<uint32_t>(label);
    container.first = parts.images;
    parts.containers.push_back(container);
  };
  add_container("", 0);
  for (int64_t label = 0; label < kClasses; ++label) {
    const std::string name = vim::concat("n0", 1440764 + label);
    parts.classes.push_back(name);
    add_container(name + "/", label);
    for (const int64_t end = images * (label + 1) / kClasses; parts.images < end;) {
      parts.add_image(vim::concat(name, "_", parts.images, ".JPEG"));
    }
  }
  for (Container& c : parts.containers) {
    c.modified = stat_container(root / "train", c.path).modified;
  }
  Listing(std::move(parts)).write(root / "train.vimindex");
}

void tell(const std::string& what, int64_t images, const std::function<void()>& work) {
  const double before = own_bytes();
  const auto start = std::chrono::steady_clock::now();
  work();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::cout << what << ": " << vim::fixed(seconds, 2) << " s, "
            << vim::fixed((own_bytes() - before) / static_cast<double>(images), 1)
            << " bytes an image\n";
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t images = argc > 1 ? std::stoll(argv[1]) : 10'000'000;
  const fs::path root = fs::temp_directory_path() / "vim_bench_listing";
  fs::remove_all(root);
  make_index(root, images);
  std::cout << images << " images, index of "
            << vim::as_bytes(static_cast<double>(fs::file_size(root / "train.vimindex"))) << "\n";
  malloc_trim(0);

  DataConfig config;
  config.root = root.string();
  std::unique_ptr<Dataset> dataset;
  std::unique_ptr<Shuffle> shuffle;
  tell("open", images, [&] { dataset = open_dataset(config, Split::kTrain); });
  tell("order of an epoch", images, [&] { shuffle = full_shuffle(dataset->size(), 0, 0); });
  tell("every name in that order", images, [&] {
    size_t bytes = 0;
    for (int64_t i = 0; i < dataset->size(); ++i) bytes += dataset->name(shuffle->at(i)).size();
    if (bytes == 0) std::cout << "no names\n";
  });
  fs::remove_all(root);
}
