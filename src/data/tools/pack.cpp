#include <algorithm>
#include <iostream>

#include "data/codecs.h"
#include "data/encode.h"
#include "data/packed.h"
#include "data/resize.h"
#include "data/tools/parallel.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/log.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/commands.h"
#include "vim/data/dataset.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

constexpr int64_t kAtOnce = 512;  // images in memory

cv::Mat shrunk(const cv::Mat& image, std::optional<int64_t> short_side) {
  const int64_t side = std::min(image.cols, image.rows);
  if (!short_side || side <= *short_side) return image;
  Sample sample = {image};
  RandomStream unused(0, Purpose::kTransform);
  Resize{*short_side}.apply(sample, {}, unused);
  return sample.image;
}

PackedImage packed(const Dataset& dataset, int64_t id, const fs::path& root, const PackCommand& c) {
  PackedImage out;
  const std::string path = dataset.name(id);
  out.name = fs::path(path).lexically_relative(root).string();
  Sample sample = dataset.read(id);
  out.label = static_cast<uint32_t>(sample.label);
  try {
    decode(sample);  // refuses what is broken, even where only the file's bytes are wanted
    if (!c.raw && !c.short_side) {
      out.bytes = read_file(path);
      return out;
    }
    const cv::Mat image = shrunk(sample.image, c.short_side);
    if (!c.raw) {
      out.bytes = encode_jpeg(image, static_cast<int>(c.quality));
      return out;
    }
    const cv::Mat whole = image.isContinuous() ? image : image.clone();
    out.bytes.assign(reinterpret_cast<const char*>(whole.data), whole.total() * whole.elemSize());
    out.width = static_cast<uint32_t>(whole.cols);
    out.height = static_cast<uint32_t>(whole.rows);
    out.channels = static_cast<uint32_t>(whole.channels());
    return out;
  } catch (const Error& error) {
    throw Error(concat(path, ": ", error.what()));
  }
}

void pack_split(const PackCommand& c, Split split, const std::string& folder) {
  DataConfig config;
  config.root = c.root.string();
  const auto dataset = open_dataset(config, split);
  const int64_t size = dataset->size();
  const fs::path file = c.output / concat(folder, kPackSuffix);
  fs::create_directories(c.output);
  write_atomically(file, [&](FileWriter& out) {
    PackWriter writer(out);
    for (int64_t begin = 0; begin < size; begin += kAtOnce) {
      std::vector<PackedImage> images(std::min(kAtOnce, size - begin));
      for_each_in_parallel(static_cast<int64_t>(images.size()), c.workers,
                           concat("pack ", folder, " ", begin, "/", size), [&](int64_t i) {
                             images[i] = packed(*dataset, begin + i, c.root / folder, c);
                           });
      for (const PackedImage& image : images) writer.add(image);
    }
    writer.finish(dataset->classes());
  });
  log::info(concat(file.string(), ": ", with_separators(size), " images, ",
                   as_bytes(static_cast<double>(fs::file_size(file)))));
}

// Below `root`, whatever the file says.
fs::path safe_path(const fs::path& root, std::string_view name, bool raw) {
  fs::path path = fs::path(name).lexically_normal();
  if (path.empty() || path.is_absolute() || *path.begin() == "..") {
    throw Error(concat("'", name, "' would be written outside of ", root.string()));
  }
  if (raw) path += ".png";
  return root / path;
}

}  // namespace

void pack(const PackCommand& command) {
  if (!fs::is_directory(command.root)) {
    throw Error(concat(command.root.string(), ": there is no such folder"));
  }
  bool any = false;
  for (const auto& [split, folder] : {std::pair{Split::kTrain, "train"}, {Split::kVal, "val"}}) {
    if (!fs::is_directory(command.root / folder)) continue;
    pack_split(command, split, folder);
    any = true;
  }
  if (!any) throw Error(concat(command.root.string(), ": has neither train/ nor val/"));
}

void unpack(const UnpackCommand& c) {
  const PackedFile file(c.file);
  for_each_in_parallel(file.size(), c.workers, "unpack", [&](int64_t i) {
    const PackEntry entry = file.entry(i);
    try {
      const std::string_view bytes = file.record(i);
      const fs::path path = safe_path(c.output, file.name(i), entry.channels != 0);
      fs::create_directories(path.parent_path());
      if (entry.channels == 0) return write_atomically(path, bytes);
      const cv::Mat pixels(static_cast<int>(entry.height), static_cast<int>(entry.width),
                           CV_8UC(static_cast<int>(entry.channels)),
                           const_cast<char*>(bytes.data()));
      write_atomically(path, encode_png(pixels));
    } catch (const Error& error) {
      throw Error(concat(c.file.string(), ", ", file.name(i), ": ", error.what()));
    }
  });
}

void list(const fs::path& path) {
  const PackedFile file(path);
  for (int64_t i = 0; i < file.size(); ++i) {
    const PackEntry entry = file.entry(i);
    std::cout << file.name(i) << "\t"
              << (entry.label < file.classes().size() ? file.classes()[entry.label] : "?") << "\t";
    if (entry.channels != 0) std::cout << entry.width << " x " << entry.height << "\t";
    std::cout << entry.size << "\n";
  }
}

}  // namespace vim::data
