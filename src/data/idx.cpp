#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>

#include "data/datasets.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{64} << 30;  // of one file, unpacked
constexpr size_t kPiece = size_t{4} << 20;

struct Close {
  void operator()(gzFile file) const { gzclose(file); }
};

// Reads plain and gzip files alike.
class Stream {
 public:
  explicit Stream(const fs::path& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    if (!file_) fail("cannot open it");
  }

  // Returns fewer bytes only at the end of the file.
  size_t read(uint8_t* out, size_t size) {
    size_t total = 0;
    while (total < size) {
      const auto piece = static_cast<unsigned>(std::min(size - total, kPiece));
      const int got = gzread(file_.get(), out + total, piece);
      int code = Z_OK;
      const char* reason = gzerror(file_.get(), &code);
      if (got < 0) fail(concat("damaged (", reason, ")"));
      if (got == 0 && code == Z_BUF_ERROR) fail("ends in the middle of its compressed data");
      if (got == 0) break;
      total += static_cast<size_t>(got);
    }
    return total;
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(concat(path_.string(), ": ", reason));
  }

 private:
  fs::path path_;
  std::unique_ptr<gzFile_s, Close> file_;
};

struct Array {
  std::vector<uint32_t> shape;
  std::vector<uint8_t> values;
};

// The header: two zero bytes, the type (8: unsigned bytes), the number of dimensions, and each of
// them as a big-endian number. Memory grows with what is really there, whatever the header says.
Array read_array(const fs::path& path, size_t dimensions) {
  Stream stream(path);
  std::array<uint8_t, 4> magic{};
  if (stream.read(magic.data(), magic.size()) < magic.size()) stream.fail("no IDX header");
  if (magic != std::array<uint8_t, 4>{0, 0, 8, static_cast<uint8_t>(dimensions)}) {
    stream.fail(concat("not an IDX file of bytes in ", dimensions, " dimensions"));
  }
  Array array;
  uint64_t total = 1;
  for (size_t i = 0; i < dimensions; ++i) {
    std::array<uint8_t, 4> b{};
    if (stream.read(b.data(), b.size()) < b.size()) stream.fail("no IDX header");
    array.shape.push_back(uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3]);
    if (array.shape.back() == 0) stream.fail("holds nothing");
    if (array.shape.back() > kMaxBytes / total) {
      stream.fail(concat("declares more than the ", as_bytes(kMaxBytes), " that are allowed"));
    }
    total *= array.shape.back();
  }
  while (array.values.size() < total) {
    const size_t old = array.values.size();
    array.values.resize(std::min<uint64_t>(total, old + std::max(kPiece, old)));
    const size_t got = stream.read(array.values.data() + old, array.values.size() - old);
    if (got < array.values.size() - old) {
      stream.fail(concat("ends after ", old + got, " of ", total, " bytes"));
    }
  }
  uint8_t more = 0;
  if (stream.read(&more, 1) != 0)
    stream.fail(concat("goes on after the ", total, " bytes it declares"));
  return array;
}

std::optional<fs::path> find(const fs::path& root, const std::string& name) {
  for (const fs::path& path : {root / name, root / (name + ".gz")}) {
    if (fs::exists(path)) return path;
  }
  return std::nullopt;
}

const char* prefix(Split split) {
  return split == Split::kTrain ? "train" : "t10k";
}

fs::path require(const fs::path& root, const std::string& name) {
  if (const auto path = find(root, name)) return *path;
  throw Error(concat(root.string(), ": there is no ", name, " or ", name,
                     ".gz; set data.root to the folder with the IDX files"));
}

class IdxDataset : public Dataset {
 public:
  IdxDataset(const fs::path& root, Split split, int channels) : channels_(channels) {
    images_path_ = require(root, concat(prefix(split), "-images-idx3-ubyte"));
    const fs::path labels_path = require(root, concat(prefix(split), "-labels-idx1-ubyte"));
    images_ = read_array(images_path_, 3);
    labels_ = read_array(labels_path, 1).values;
    const auto [height, width] = image_size();
    if (height * width > kMaxPixels) {
      throw Error(concat(images_path_.string(), ": has images of ", width, " x ", height,
                         " pixels, more than are allowed"));
    }
    if (labels_.size() != images_.shape[0]) {
      throw Error(concat(labels_path.string(), ": has ", labels_.size(), " labels for the ",
                         images_.shape[0], " images of ", images_path_.filename().string()));
    }
    name_classes(root, split);
  }

  int64_t size() const override { return images_.shape[0]; }

  Sample read(int64_t id) const override {
    const auto [height, width] = image_size();
    const uint8_t* pixels = images_.values.data() + id * height * width;
    const cv::Mat image(static_cast<int>(height), static_cast<int>(width), CV_8UC1,
                        const_cast<uint8_t*>(pixels));
    return {with_channels(image, channels_), labels_[id], id};
  }

  std::string name(int64_t id) const override {
    return concat(images_path_.string(), ", image ", id);
  }

  const std::vector<std::string>& classes() const override { return classes_; }

 private:
  std::pair<int64_t, int64_t> image_size() const { return {images_.shape[1], images_.shape[2]}; }

  // Up to the largest label of both splits, so that they agree even where one lacks the last class.
  void name_classes(const fs::path& root, Split split) {
    uint8_t largest = *std::max_element(labels_.begin(), labels_.end());
    const Split other = split == Split::kTrain ? Split::kVal : Split::kTrain;
    if (const auto path = find(root, concat(prefix(other), "-labels-idx1-ubyte"))) {
      const Array labels = read_array(*path, 1);
      largest = std::max(largest, *std::max_element(labels.values.begin(), labels.values.end()));
    }
    for (int i = 0; i <= largest; ++i) classes_.push_back(std::to_string(i));
  }

  fs::path images_path_;
  Array images_;
  std::vector<uint8_t> labels_;
  std::vector<std::string> classes_;
  int channels_;
};

}  // namespace

std::unique_ptr<Dataset> open_idx(const fs::path& root, Split split, int channels) {
  return std::make_unique<IdxDataset>(root, split, channels);
}

}  // namespace vim::data
