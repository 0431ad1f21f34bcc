// What `vim-data` does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "vim/data/config.h"

namespace vim::data {

// Applies a list of transforms with fixed arguments (vim/data/fixed_transforms.h), in YAML, to an
// image file, and writes a PNG.
struct ApplyCommand {
  std::string transforms;
  std::filesystem::path input, output;
};
void apply(const ApplyCommand& command);

// A contact sheet of training images as PNG: a row an image, a column for the image as it is read,
// for the result of each transform and for what erasing and mixing make of the batch; the file and
// its target below the row. The same text goes to standard output.
struct PreviewCommand {
  DataConfig data;
  InputSize input;
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t images = 8;
  std::filesystem::path output;
};
void preview(const PreviewCommand& command);

// Looks for what is wrong with a folder of images (split/class/image, class/image or just images),
// with shards or with packed files, and reports to standard output, and to files where they are
// given. True where all is well.
struct CheckCommand {
  DataConfig data;  // format, root and shards
  std::optional<std::filesystem::path> json, html;
  int64_t workers = 1;
  int64_t min_per_class = 10;
};
bool check(const CheckCommand& command);

// Means and standard deviations of the channels, sizes, images a class: to standard output.
struct StatsCommand {
  DataConfig data;  // format, root and shards
  int64_t workers = 1;
  std::optional<std::filesystem::path> json;  // a file for them as well
};
void stats(const StatsCommand& command);

// Puts train/ and val/ of an image folder into train.vimpack and val.vimpack, for data.format:
// packed, or into shards, for webdataset; those for training in random order. The files as they
// are; or, with a short side, larger images shrunk to it and written as JPEG; or, packed, pixels.
struct PackCommand {
  std::filesystem::path root, output;
  std::optional<int64_t> images_per_shard;  // nothing: packed
  std::optional<int64_t> short_side;
  bool exif_transpose = false;  // upright pixels; else a JPEG that is written anew says how to turn
  bool raw = false;
  int64_t quality = 90;
  int64_t workers = 1;
};
void pack(const PackCommand& command);

// Writes a packed file's images below a folder, pixels as PNG.
struct UnpackCommand {
  std::filesystem::path file, output;
  int64_t workers = 1;
};
void unpack(const UnpackCommand& command);

// Writes train.vimindex and val.vimindex for an image folder or for shards, so that opening them
// needs neither listing nor scanning (data.index).
struct IndexCommand {
  DataConfig data;  // format, root and shards
  std::filesystem::path output;
};
void index(const IndexCommand& command);

// A line for each image of a packed file or a shard: name, class, size. To standard output.
void list(const std::filesystem::path& file);

// Images a second at 224 pixels, stage by stage, with the files of a folder from memory: to
// standard output. A second is one of a core's time, and one of the clock for all threads together.
struct BenchCommand {
  std::filesystem::path root;  // empty: the photographs of Debian's scratch and labelme-examples
  int64_t workers = 1;         // threads
  double seconds = 3;          // a figure
  std::optional<std::filesystem::path> json;  // a file for them as well
};
void bench(const BenchCommand& command);

}  // namespace vim::data
