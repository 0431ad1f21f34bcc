// The sources that open_dataset chooses from.
#pragma once

#include <filesystem>
#include <memory>

#include "data/listing.h"
#include "vim/data/dataset.h"
#include "vim/data/image.h"

namespace vim::data {

inline const char* split_name(Split split) {
  return split == Split::kTrain ? "train" : "val";
}

// A data set whose images are files, or bare pixels, that somebody keeps.
class StoredDataset : public Dataset {
 public:
  explicit StoredDataset(const ReadOptions& options) : options_(options) {}

  Sample read(int64_t id) const final;  // of stored() and label()
  StoredImage stored(int64_t id) const override = 0;

 private:
  ReadOptions options_;
};

// Whether there is such a split, as far as names tell; idx and cifar always have both.
bool has_split(const DataConfig& config, Split split);

// The shards of a split, and where its index is or would be.
std::vector<std::string> shards_of(const DataConfig& config, Split split);
std::filesystem::path index_of(const DataConfig& config, Split split);

// `{train,t10k}-images-idx3-ubyte` and `-labels-idx1-ubyte`, each perhaps with .gz, in one folder
// (the format of http://yann.lecun.com/exdb/mnist). Held in memory. A class is called by its
// number.
std::unique_ptr<Dataset> open_idx(const std::filesystem::path& root, Split split, int channels);

// `root/{train,val}/<class>/**/*.{jpg,jpeg,png}`. Classes and files in the order of their bytes, as
// torchvision's ImageFolder; hidden files and folders are left out. Links are followed.
// From the index, where there is one that is up to date.
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root, Split split,
                                           const ReadOptions& options,
                                           const std::filesystem::path& index = {});
ListingParts list_image_folder(const std::filesystem::path& root, Split split);

// CIFAR-10 (`data_batch_{1..5}.bin`, `test_batch.bin`) or CIFAR-100 (`{train,test}.bin`, with the
// fine labels), whichever is there. Held in memory.
std::unique_ptr<Dataset> open_cifar(const std::filesystem::path& root, Split split, int channels);

// `{train,val}.vimpack` (data/packed.h).
std::filesystem::path packed_file(const std::filesystem::path& root, Split split);
std::unique_ptr<Dataset> open_packed(const std::filesystem::path& root, Split split,
                                     const ReadOptions& options);

// Tar files in WebDataset's convention (https://github.com/webdataset/webdataset): members that
// follow each other and are called alike up to the first dot of the file's name are a sample, of
// which an image (jpg, jpeg, png) and a label (cls, json, txt: data/shard_label.h) are read. What
// has no such image is left out. Numbers are named by `root/classes.txt`, a line each, where that
// is there. `shards` are paths from the root on.
std::unique_ptr<Dataset> open_webdataset(const std::filesystem::path& root,
                                         const std::vector<std::string>& shards,
                                         const ReadOptions& options,
                                         const std::filesystem::path& index = {});
ListingParts list_webdataset(const std::filesystem::path& root,
                             const std::vector<std::string>& shards);

}  // namespace vim::data
