// The sources that open_dataset chooses from.
#pragma once

#include <filesystem>
#include <memory>

#include "vim/data/dataset.h"

namespace vim::data {

// `{train,t10k}-images-idx3-ubyte` and `-labels-idx1-ubyte`, each perhaps with .gz, in one folder
// (the format of http://yann.lecun.com/exdb/mnist). Held in memory. A class is called by its
// number.
std::unique_ptr<Dataset> open_idx(const std::filesystem::path& root, Split split, int channels);

// `root/{train,val}/<class>/**/*.{jpg,jpeg,png}`. Classes and files in the order of their bytes, as
// torchvision's ImageFolder; hidden files and folders are left out. Links are followed.
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root, Split split,
                                           int channels);

// CIFAR-10 (`data_batch_{1..5}.bin`, `test_batch.bin`) or CIFAR-100 (`{train,test}.bin`, with the
// fine labels), whichever is there. Held in memory.
std::unique_ptr<Dataset> open_cifar(const std::filesystem::path& root, Split split, int channels);

// `{train,val}.vimpack` (data/packed.h).
std::unique_ptr<Dataset> open_packed(const std::filesystem::path& root, Split split, int channels);

}  // namespace vim::data
