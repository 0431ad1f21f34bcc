#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <chrono>
#include <ctime>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>

#include "data/tools/probe.h"
#include "data/tools/tree.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/augmenter.h"
#include "vim/data/commands.h"
#include "vim/data/image.h"
#include "vim/data/loader.h"
#include "vim/data/sample.h"

namespace vim::data {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kBatch = 32, kClasses = 1000;
constexpr InputSize kInput = {224, 224};
constexpr double kMaxBytes = 2e9;  // of files held in memory

struct Files {
  std::vector<std::filesystem::path> paths;
  std::vector<std::string> bytes;
  double megabytes = 0, pixels = 0;
};

Files load(const std::filesystem::path& root) {
  Files files;
  double total = 0;
  for (const FoundFile& file : list_tree(root).files) {
    if (encoding_by_name(file.path) == Encoding::kNone || total > kMaxBytes) continue;
    std::string bytes = read_file(root / file.path);
    try {
      files.pixels += static_cast<double>(decode_image(bytes).total());
    } catch (const Error&) {
      continue;
    }
    total += static_cast<double>(bytes.size());
    files.paths.push_back(root / file.path);
    files.bytes.push_back(std::move(bytes));
  }
  if (files.paths.empty()) throw Error(concat(root.string(), ": has no image that can be read"));
  files.megabytes = total / 1e6;
  return files;
}

// The files of a folder, again and again, as long as an epoch is to be.
class Memory : public Dataset {
 public:
  Memory(const Files& files, int64_t size) : files_(files), size_(size) {}
  int64_t size() const override { return size_; }
  Sample get(int64_t id) const override { return {decode_image(bytes(id)), 0, id}; }
  Sample read(int64_t id) const override { return encoded(bytes(id), id); }
  std::string name(int64_t id) const override { return path(id).string(); }
  const std::vector<std::string>& classes() const override { return classes_; }

  static Sample encoded(const std::string& bytes, int64_t id) {
    if (!bytes.starts_with("\xff\xd8")) return {decode_image(bytes), 0, id};
    return {.image = {}, .id = id, .jpeg = bytes};
  }

 private:
  size_t index(int64_t id) const { return static_cast<size_t>(id) % files_.bytes.size(); }
  const std::string& bytes(int64_t id) const { return files_.bytes[index(id)]; }
  const std::filesystem::path& path(int64_t id) const { return files_.paths[index(id)]; }

  const Files& files_;
  int64_t size_;
  std::vector<std::string> classes_ = {"0"};
};

// What the figures of the recipe stand for.
DataConfig recipe(bool whole_recipe, Decoding decoding) {
  DataConfig config;
  RandomResizedCrop crop;
  crop.decoding = decoding;
  config.train_transforms = {crop, Flip{}};
  if (whole_recipe) {
    config.train_transforms.emplace_back(RandAugment{});
    config.erasing.p = 0.25;
  }
  return config;
}

// Images of `work`, which does image i, in a second of this process's time on a core: what else the
// machine does has less of a say than in a second of the clock on the wall.
double rate(double seconds, const std::function<void(int64_t)>& work) {
  for (int64_t i = 0; i < kBatch; ++i) work(i);
  const std::clock_t start = std::clock();
  double passed = 0;
  int64_t done = 0;
  while (passed < seconds) {
    for (int64_t i = 0; i < kBatch; ++i) work(done++);
    passed = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  }
  return static_cast<double>(done) / passed;
}

// Images through the transforms into batches, and those through the augmenter.
class Line {
 public:
  Line(const Files& files, const DataConfig& config, bool decode_first)
      : files_(files),
        pipeline_{config.train_transforms, kInput},
        augmenter_(config, kClasses, 0.1, {}),
        decode_first_(decode_first) {
    batch_.images = at::empty({kBatch, kInput.height, kInput.width, 3}, at::kByte);
    batch_.labels = at::zeros({kBatch}, at::kLong);
  }

  void operator()(int64_t i) {
    const std::string& bytes = files_.bytes[static_cast<size_t>(i) % files_.bytes.size()];
    Sample sample = Memory::encoded(bytes, i);
    if (decode_first_) decode(sample);
    RandomStream random(0, Purpose::kTransform, 0, static_cast<uint64_t>(i));
    pipeline_.apply(sample, random);
    const int64_t size = kInput.height * kInput.width * 3;
    cv::Mat row(sample.image.size(), CV_8UC3,
                batch_.images.mutable_data_ptr<uint8_t>() + i % kBatch * size);
    sample.image.copyTo(row);
    if (i % kBatch + 1 < kBatch) return;
    batch_.index = i / kBatch;
    augmenter_(batch_);
  }

 private:
  const Files& files_;
  Pipeline pipeline_;
  Augmenter augmenter_;
  bool decode_first_;
  Batch batch_;
};

double loader_rate(const Files& files, const DataConfig& config, int64_t workers, double seconds) {
  const LoaderOptions options = {.batch_size = kBatch, .workers = workers, .prefetch = 2 * workers};
  Loader loader(std::make_unique<Memory>(files, int64_t{1} << 20),
                Pipeline{config.train_transforms, kInput}, options);
  loader.begin(0);
  loader.next();
  const Clock::time_point start = Clock::now();
  double passed = 0;
  int64_t done = 0;
  while (passed < seconds) {
    done += loader.next()->images.size(0);
    passed = std::chrono::duration<double>(Clock::now() - start).count();
  }
  return static_cast<double>(done) / passed;
}

}  // namespace

void bench(const BenchCommand& c) {
  const Files files = load(c.root);
  const auto count = static_cast<double>(files.paths.size());
  at::set_num_threads(1);
  cv::setNumThreads(0);
  nlohmann::ordered_json json = {{"images", files.paths.size()},
                                 {"kilobytes", 1000 * files.megabytes / count},
                                 {"pixels", files.pixels / count}};
  if (!c.json) {
    std::cout << concat(files.paths.size(), " images of ", fixed(1000 * files.megabytes / count, 0),
                        " kB and ", fixed(files.pixels / count, 0), " pixels\n");
  }
  const auto tell = [&](const std::string& name, double images) {
    json["images_per_second"][name] = images;
    if (!c.json) std::cout << concat(name, ": ", fixed(images, 0), " images/s\n") << std::flush;
  };
  const auto at = [&](const auto& list, int64_t i) -> const auto& {
    return list[static_cast<size_t>(i) % list.size()];
  };
  tell("read", rate(c.seconds, [&](int64_t i) { read_file(at(files.paths, i)); }));
  tell("decode", rate(c.seconds, [&](int64_t i) { decode_image(at(files.bytes, i)); }));
  const auto line = [&](bool whole_recipe, Decoding decoding, bool decode_first) {
    return rate(c.seconds, Line(files, recipe(whole_recipe, decoding), decode_first));
  };
  tell("decode, then crop + flip + normalize", line(false, Decoding::kExact, true));
  tell("crop + flip + normalize", line(false, Decoding::kExact, false));
  tell("crop + flip + normalize, fast", line(false, Decoding::kFast, false));
  tell("DeiT recipe", line(true, Decoding::kExact, false));
  tell("DeiT recipe, fast", line(true, Decoding::kFast, false));
  for (int64_t workers = 1; workers <= c.workers; workers *= 2) {
    tell(concat("loader, DeiT recipe, ", workers, workers == 1 ? " worker" : " workers"),
         loader_rate(files, recipe(true, Decoding::kExact), workers, c.seconds));
  }
  if (c.json) std::cout << json.dump(2) << "\n";
}

}  // namespace vim::data
