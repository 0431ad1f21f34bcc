// CIFAR-10 and CIFAR-100 in their binary versions (https://www.cs.toronto.edu/~kriz/cifar.html): a
// record is the label, for CIFAR-100 the coarse label before it, and 32 x 32 values each of red,
// green and blue.
#include <filesystem>
#include <opencv2/core.hpp>
#include <sstream>

#include "data/datasets.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
#include "vim/data/image.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

constexpr int kSide = 32;
constexpr size_t kPlane = size_t{kSide} * kSide, kPixels = 3 * kPlane;

struct Variant {
  size_t labels;  // bytes before the pixels; the last is the label
  size_t classes;
  std::vector<std::string> train, val;
  std::string names;  // file with the classes' names, a line each
};

Variant variant_in(const fs::path& root) {
  if (fs::exists(root / "data_batch_1.bin")) {
    return {1,
            10,
            {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
             "data_batch_5.bin"},
            {"test_batch.bin"},
            "batches.meta.txt"};
  }
  if (fs::exists(root / "train.bin")) {
    return {2, 100, {"train.bin"}, {"test.bin"}, "fine_label_names.txt"};
  }
  throw Error(
      concat(root.string(),
             ": there is neither data_batch_1.bin (CIFAR-10) nor train.bin (CIFAR-100); set "
             "data.root to the folder with the binary version"));
}

class Cifar : public Dataset {
 public:
  Cifar(const fs::path& root, Split split, int channels)
      : variant_(variant_in(root)), channels_(channels) {
    for (const std::string& name : split == Split::kTrain ? variant_.train : variant_.val) {
      add_file(root / name);
    }
    name_classes(root / variant_.names);
  }

  int64_t size() const override { return static_cast<int64_t>(records_.size() / record()); }

  Sample read(int64_t id) const override {
    const char* labels = records_.data() + static_cast<size_t>(id) * record();
    auto* pixels = reinterpret_cast<uchar*>(const_cast<char*>(labels + variant_.labels));
    std::vector<cv::Mat> planes;
    for (size_t c = 0; c < 3; ++c) planes.emplace_back(kSide, kSide, CV_8UC1, pixels + c * kPlane);
    cv::Mat image;
    cv::merge(planes, image);
    return {with_channels(image, channels_), static_cast<uint8_t>(labels[variant_.labels - 1]), id};
  }

  std::string name(int64_t id) const override {
    size_t i = 0;
    while (i + 1 < starts_.size() && starts_[i + 1] <= id) ++i;
    return concat(files_[i].string(), ", image ", id - starts_[i]);
  }

  const std::vector<std::string>& classes() const override { return classes_; }

 private:
  size_t record() const { return variant_.labels + kPixels; }

  void add_file(const fs::path& path) {
    const std::string bytes = read_file(path);
    if (bytes.empty() || bytes.size() % record() != 0) {
      throw Error(concat(path.string(), ": ", bytes.size(),
                         " bytes are no whole number of images of ", record(), " bytes"));
    }
    for (size_t at = variant_.labels - 1; at < bytes.size(); at += record()) {
      if (static_cast<uint8_t>(bytes[at]) >= variant_.classes) {
        throw Error(concat(path.string(), ": image ", at / record(), " has the label ",
                           int{static_cast<uint8_t>(bytes[at])}, " of ", variant_.classes,
                           " classes"));
      }
    }
    files_.push_back(path);
    starts_.push_back(size());
    records_ += bytes;
  }

  void name_classes(const fs::path& path) {
    std::istringstream lines(fs::exists(path) ? read_file(path) : "");
    for (std::string line; std::getline(lines, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) classes_.push_back(line);
    }
    if (classes_.size() == variant_.classes) return;
    classes_.clear();
    for (size_t i = 0; i < variant_.classes; ++i) classes_.push_back(std::to_string(i));
  }

  Variant variant_;
  int channels_;
  std::string records_;
  std::vector<fs::path> files_;
  std::vector<int64_t> starts_;  // the first image of each file
  std::vector<std::string> classes_;
};

}  // namespace

std::unique_ptr<Dataset> open_cifar(const fs::path& root, Split split, int channels) {
  return std::make_unique<Cifar>(root, split, channels);
}

}  // namespace vim::data
