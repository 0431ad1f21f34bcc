#include "data/tools/bench_stages.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <array>
#include <memory>

#include "data/codecs.h"
#include "data/tools/inventory.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/augmenter.h"
#include "vim/data/image.h"
#include "vim/data/loader.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

constexpr int64_t kClasses = 1000;
constexpr double kMaxMegabytes = 2000;  // of files held in memory
constexpr size_t kMaxDecoded = 64;      // images, for the stages behind decoding

// Photographs of the packages scratch and labelme-examples.
constexpr std::array kDebianPhotographs = {"/usr/share/scratch/Media/Backgrounds",
                                           "/usr/share/doc/labelme-examples/examples"};

void add_folder(const fs::path& root, BenchFiles& files) {
  for (const Item& item : take_inventory(root).items) {
    if (item.named == Encoding::kNone || files.megabytes > kMaxMegabytes) continue;
    std::string bytes = read_file(root / item.path);
    try {
      const cv::Mat image = decode_image(bytes);
      files.pixels += static_cast<double>(image.total());
      if (files.decoded.size() < kMaxDecoded) files.decoded.push_back(image);
    } catch (const Error&) {
      continue;
    }
    files.megabytes += static_cast<double>(bytes.size()) / 1e6;
    files.paths.push_back(root / item.path);
    files.bytes.push_back(std::move(bytes));
  }
}

BenchFiles loaded(const fs::path& root) {
  BenchFiles files;
  if (!root.empty()) {
    add_folder(root, files);
    if (files.paths.empty()) throw Error(concat(root.string(), ": has no image that can be read"));
    return files;
  }
  for (const char* folder : kDebianPhotographs) {
    if (fs::is_directory(folder)) add_folder(folder, files);
  }
  if (files.paths.empty()) {
    throw Error(
        "there are no photographs to measure with; name a folder of images, or install Debian's "
        "packages scratch and labelme-examples");
  }
  return files;
}

Sample transformed(Sample sample, const Pipeline& pipeline) {
  RandomStream random(0, Purpose::kTransform, 0, static_cast<uint64_t>(sample.id));
  pipeline.apply(sample, random);
  return sample;
}

// Images into batches, and these through the augmenter.
class Collator {
 public:
  explicit Collator(const DataConfig& config) : augmenter_(config, kClasses, 0.1, {}) {
    batch_.images = at::empty({kBenchBatch, kBenchInput.height, kBenchInput.width, 3}, at::kByte);
    batch_.labels = at::zeros({kBenchBatch}, at::kLong);
  }
  void add(const cv::Mat& image) {
    const int64_t size = kBenchInput.height * kBenchInput.width * 3;
    cv::Mat row(image.size(), CV_8UC3, batch_.images.mutable_data_ptr<uint8_t>() + filled_ * size);
    image.copyTo(row);
    if (++filled_ < kBenchBatch) return;
    filled_ = 0;
    augmenter_(batch_);
    ++batch_.index;
  }

 private:
  Augmenter augmenter_;
  Batch batch_;
  int64_t filled_ = 0;
};

// From a file's bytes to a normalised batch.
BenchStage line(const std::string& name, const BenchFiles& files, const DataConfig& config,
                bool decode_first) {
  return {name, [&files, config, decode_first]() -> BenchWork {
            const auto collator = std::make_shared<Collator>(config);
            const Pipeline pipeline{config.train_transforms, kBenchInput};
            return [&files, collator, pipeline, decode_first](int64_t i) {
              Sample sample = encoded_sample(nth(files.bytes, i), i);
              if (decode_first) decode(sample);
              collator->add(transformed(std::move(sample), pipeline).image);
            };
          }};
}

// One transform by itself, of images in memory.
BenchStage transform(const std::string& name, const std::vector<cv::Mat>& images, Transform what) {
  return {name, [&images, what]() -> BenchWork {
            const Pipeline pipeline{{what}, kBenchInput};
            return [&images, pipeline](int64_t i) {
              transformed({nth(images, i), 0, i}, pipeline);
            };
          }};
}

}  // namespace

BenchFiles load_bench_files(const fs::path& root) {
  BenchFiles files = loaded(root);
  const Pipeline crop{{RandomResizedCrop{}}, kBenchInput};
  for (size_t i = 0; i < files.decoded.size(); ++i) {
    files.crops.push_back(transformed({files.decoded[i], 0, static_cast<int64_t>(i)}, crop).image);
  }
  return files;
}

Sample encoded_sample(const std::string& bytes, int64_t id) {
  if (!is_jpeg(bytes)) return {decode_image(bytes), 0, id};
  return {.image = {}, .id = id, .jpeg = bytes};
}

DataConfig bench_recipe(bool whole, Decoding decoding) {
  DataConfig config;
  RandomResizedCrop crop;
  crop.decoding = decoding;
  config.train_transforms = {crop, Flip{}};
  if (whole) {
    config.train_transforms.emplace_back(RandAugment{});
    config.erasing.p = 0.25;
  }
  return config;
}

std::vector<BenchStage> bench_stages(const BenchFiles& files) {
  const std::vector<cv::Mat>& crops = files.crops;
  const DataConfig simple = bench_recipe(false, Decoding::kExact),
                   whole = bench_recipe(true, Decoding::kExact);
  return {
      {"read",
       [&files]() -> BenchWork { return [&](int64_t i) { read_file(nth(files.paths, i)); }; }},
      {"decode",
       [&files]() -> BenchWork { return [&](int64_t i) { decode_image(nth(files.bytes, i)); }; }},
      transform("crop + resize", files.decoded, RandomResizedCrop{}),
      transform("RandAugment", crops, RandAugment{}),
      {"collate",
       [&crops, whole]() -> BenchWork {
         const auto collator = std::make_shared<Collator>(whole);
         return [&crops, collator](int64_t i) { collator->add(nth(crops, i)); };
       }},
      line("decode, then crop + flip + normalize", files, simple, true),
      line("crop + flip + normalize", files, simple, false),
      line("crop + flip + normalize, fast", files, bench_recipe(false, Decoding::kFast), false),
      line("DeiT recipe", files, whole, false),
      line("DeiT recipe, fast", files, bench_recipe(true, Decoding::kFast), false),
  };
}

}  // namespace vim::data
