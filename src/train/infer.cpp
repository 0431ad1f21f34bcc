// vim-infer: images or a tensor in, classes and features out.
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/data/image.h"
#include "vim/data/loader.h"
#include "vim/data/sample.h"
#include "vim/io/tensor_file.h"
#include "vim/train/commands.h"
#include "vim/train/predictor.h"

namespace fs = std::filesystem;

namespace vim::train {
namespace {

constexpr int64_t kTensorBatch = 64;

bool is_image(const fs::path& path) {
  std::string extension = path.extension();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// Files as they are named, folders with all images below them in the order of their names.
std::vector<fs::path> find_images(const std::vector<fs::path>& places) {
  std::vector<fs::path> images;
  for (const fs::path& place : places) {
    if (!fs::is_directory(place)) {
      images.push_back(place);
      continue;
    }
    std::vector<fs::path> found;
    for (const auto& entry :
         fs::recursive_directory_iterator(place, fs::directory_options::skip_permission_denied)) {
      if (entry.is_regular_file() && is_image(entry.path())) found.push_back(entry.path());
    }
    if (found.empty())
      throw Error(concat(place.string(), ": no .jpg, .jpeg or .png files below it"));
    std::ranges::sort(found);
    images.insert(images.end(), found.begin(), found.end());
  }
  return images;
}

class ImageList : public data::Dataset {
 public:
  ImageList(std::vector<fs::path> images, const data::ReadOptions& options)
      : images_(std::move(images)), options_(options) {}
  int64_t size() const override { return std::ssize(images_); }
  data::Sample read(int64_t id) const override {
    data::Sample sample;
    sample.image = data::read_image(path(id), options_);
    sample.id = id;
    return sample;
  }
  std::string name(int64_t id) const override { return path(id).string(); }
  const std::vector<std::string>& classes() const override { return classes_; }

 private:
  const fs::path& path(int64_t id) const { return images_[static_cast<size_t>(id)]; }
  std::vector<fs::path> images_;
  data::ReadOptions options_;
  std::vector<std::string> classes_;
};

Predictor make_predictor(const InferCommand& command) {
  if (command.checkpoint) {
    return Predictor(*command.checkpoint, command.choice, command.overrides);
  }
  RunConfig config;
  config.data.root = std::string(".");  // not used, so that a file without it will do
  config::Loader loader(config);
  loader.file(*command.config);
  for (const std::string& assignment : command.overrides) loader.set(assignment);
  loader.finish();
  return Predictor(*command.weights, config, command.choice);
}

void infer_tensor(const InferCommand& command, const Predictor& predictor) {
  const io::TensorFile file = io::read_tensors(*command.tensor);
  const auto input = file.tensors.find("input");
  if (input == file.tensors.end() || input->second.dim() != 4) {
    throw Error(concat(command.tensor->string(),
                       ": no tensor 'input' [batch, channels, height, width] in it"));
  }
  std::vector<at::Tensor> features, logits;
  const int64_t count = input->second.size(0);
  for (int64_t begin = 0; begin < std::max<int64_t>(count, 1); begin += kTensorBatch) {
    const Scores scores =
        predictor.score(input->second.slice(0, begin, std::min(begin + kTensorBatch, count)));
    features.push_back(scores.features);
    logits.push_back(scores.logits);
  }
  io::write_tensors(
      *command.output,
      {.tensors = {{"features", at::cat(features)}, {"logits", at::cat(logits)}}, .metadata = {}});
}

// Prints a line an image, and gathers what was asked for in files.
class Results {
 public:
  Results(const InferCommand& command, const Predictor& predictor)
      : command_(command), predictor_(predictor) {}

  void add(const std::string& file, const at::Tensor& features, const at::Tensor& logits) {
    const std::vector<Prediction> predictions = predictor_.top(logits, command_.top_k);
    std::vector<std::string> words;
    nlohmann::ordered_json entries = nlohmann::ordered_json::array();
    for (const auto& [label, probability] : predictions) {
      words.push_back(concat(label, " ", fixed(probability, 4)));
      entries.push_back({{"class", label}, {"probability", probability}});
    }
    std::cout << file << ": " << join(words, ", ") << "\n";
    if (command_.json) json_.push_back({{"file", file}, {"predictions", entries}});
    if (command_.features) {
      files_.push_back(file);
      features_.push_back(features.clone());
    }
  }

  void write() const {
    if (command_.json) write_atomically(*command_.json, json_.dump(2) + "\n");
    if (command_.features && !features_.empty()) {
      io::write_tensors(*command_.features,
                        {.tensors = {{"features", at::stack(features_)}},
                         .metadata = {{"files", nlohmann::json(files_).dump()}}});
    }
  }

 private:
  const InferCommand& command_;
  const Predictor& predictor_;
  nlohmann::ordered_json json_ = nlohmann::ordered_json::array();
  nlohmann::json files_ = nlohmann::json::array();
  std::vector<at::Tensor> features_;
};

// "[=====>     ]  120/240 images, 60 images/s, 0:02 left"
std::string progress_bar(int64_t done, int64_t total, double seconds) {
  constexpr int64_t kWidth = 30;
  const auto filled = static_cast<size_t>(kWidth * done / total);
  const double rate = static_cast<double>(done) / std::max(seconds, 1e-3);
  return concat("[", std::string(filled, '='), std::string(kWidth - filled, ' '), "] ", done, "/",
                total, " images, ", std::llround(rate), " images/s, ",
                as_duration(static_cast<double>(total - done) / rate), " left");
}

void infer_images(const InferCommand& command, const Predictor& predictor) {
  const RunConfig& config = predictor.config();
  const std::vector<fs::path> images = find_images(command.images);
  const auto total = std::ssize(images);
  data::LoaderOptions options{
      .training = false,
      .batch_size = config.data.eval_batch_size.value_or(config.data.batch_size),
      .on_error = data::OnError::kSkip};
  options.batch_size = std::min<int64_t>(options.batch_size, total);
  options.workers = config.data.workers.value_or(data::automatic_workers());
  data::Loader loader(std::make_unique<ImageList>(images, data::read_options(config.data)),
                      {config.data.eval_transforms,
                       {config.model.image_size.height, config.model.image_size.width}},
                      options);
  Results results(command, predictor);
  const auto start = std::chrono::steady_clock::now();
  loader.begin(0);
  for (int64_t done = 0; const auto batch = loader.next();) {
    const Scores scores = predictor.score_pixels(batch->images);
    log::clear_status();  // which may be on the same terminal as the results
    for (int64_t i = 0; i < scores.logits.size(0); ++i) {
      const auto id = static_cast<size_t>(batch->ids[i].item<int64_t>());
      results.add(images[id].string(), scores.features[i], scores.logits[i]);
    }
    std::cout << std::flush;
    done += scores.logits.size(0);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    log::status(progress_bar(done + loader.skipped(), total, seconds));
  }
  log::clear_status();
  results.write();
  if (loader.skipped() > 0) {
    throw Error(concat(loader.skipped(), " of ", total,
                       " images could not be read (named above); the others are done"));
  }
}

}  // namespace

void infer(const InferCommand& command) {
  const Predictor predictor = make_predictor(command);
  if (command.tensor) {
    infer_tensor(command, predictor);
  } else {
    infer_images(command, predictor);
  }
}

}  // namespace vim::train
