// A trained classifier, ready for images.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "vim/train/config.h"

namespace vim::nn {
class Classifier;
}

namespace vim::train {

enum class WeightChoice { kAuto, kModel, kEma };  // kAuto: those that did better in training

struct Prediction {
  std::string label;  // the class's name, or its number where no name is known
  double probability = 0;
};

// Images of a batch, as far as the head and through it.
struct Scores {
  at::Tensor features;  // [batch, width], or [batch, tokens, width] where pool is max
  at::Tensor logits;    // [batch, classes]
};

// Use from one thread at a time.
class Predictor {
 public:
  // A checkpoint of vim-train, which holds all that is needed. `overrides`: "a.b=c". Throws Error
  // where it is unreadable, damaged or none of ours.
  explicit Predictor(const std::filesystem::path& checkpoint,
                     WeightChoice choice = WeightChoice::kAuto,
                     const std::vector<std::string>& overrides = {});

  // Weights from elsewhere (vim/nn/import.h) for the model that `config` describes.
  Predictor(const std::filesystem::path& weights, const RunConfig& config, WeightChoice choice);

  const RunConfig& config() const { return config_; }

  // images: [batch, channels, height, width], normalised; on any device. Both results are on the
  // CPU.
  Scores score(const at::Tensor& images) const;

  // uint8 [batch, height, width, channels], as the data loader makes them.
  Scores score_pixels(const at::Tensor& pixels) const;

  // The likeliest classes of one row of logits, best first.
  std::vector<Prediction> top(const at::Tensor& logits, int64_t count) const;

  // Reads, transforms as in evaluation, and classifies one image file (JPEG or PNG).
  std::vector<Prediction> classify(const std::filesystem::path& image, int64_t count = 5) const;

 private:
  void build();

  RunConfig config_;
  std::vector<std::string> classes_;
  at::Device device_ = at::kCPU;
  std::shared_ptr<nn::Classifier> model_;
};

}  // namespace vim::train
