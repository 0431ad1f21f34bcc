#include "vim/train/predictor.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/softmax.h>

#include <algorithm>

#include "train/checkpoint.h"
#include "train/device.h"
#include "train/precision.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/data/dataset.h"
#include "vim/data/image.h"
#include "vim/data/normalize.h"
#include "vim/data/sample.h"
#include "vim/io/tensor_file.h"
#include "vim/nn/import.h"
#include "vim/nn/model.h"

namespace fs = std::filesystem;

namespace vim::train {

Predictor::Predictor(const fs::path& checkpoint, WeightChoice choice,
                     const std::vector<std::string>& overrides) {
  const Checkpoint loaded = load_checkpoint(checkpoint);
  const std::string source = checkpoint.string();
  config_ = config_of(loaded, source, overrides);
  classes_ = loaded.classes;
  build();
  nn::load_weights(*model_, chosen_weights(loaded, choice, source), source);
}

Predictor::Predictor(const fs::path& weights, const RunConfig& config, WeightChoice choice)
    : config_(config) {
  const io::TensorFile file = io::read_tensors(weights);
  const nn::Weights found = nn::find_weights(file, choice == WeightChoice::kEma);
  if (found.empty()) {
    throw Error(
        concat(weights.string(), ": it holds no ",
               choice == WeightChoice::kEma ? "averaged weights; take --use model" : "weights"));
  }
  build();
  const nn::ImportReport report =
      nn::import_weights(*model_, config_.model, found, weights.string());
  if (!report.replaced.empty()) {
    throw UsageError(concat(weights.string(), ": its head is for other classes than ",
                            config_.model.num_classes, "; set model.num_classes"));
  }
  log::info(concat(weights.string(), ": ", report.text()));
}

void Predictor::build() {
  if (config_.threads) at::set_num_threads(static_cast<int>(*config_.threads));
  device_ = choose_device(config_.device);
  model_ = nn::make_classifier(config_.model);
  model_->to(device_);
  model_->eval();
}

Scores Predictor::score(const at::Tensor& images) const {
  const at::NoGradGuard no_grad;
  allow_tf32(config_.train.precision);
  const AutocastScope autocast(config_.train.precision, device_);
  const at::Tensor features = model_->features(images.to(device_, at::kFloat));
  const at::Tensor logits = model_->classify(features);
  return {features.cpu().to(at::kFloat), logits.cpu().to(at::kFloat)};
}

Scores Predictor::score_pixels(const at::Tensor& pixels) const {
  return score(data::normalize(pixels, config_.data.mean, config_.data.std, device_));
}

std::vector<Prediction> Predictor::top(const at::Tensor& logits, int64_t count) const {
  const auto [probabilities, labels] =
      at::softmax(logits, 0).topk(std::min(count, logits.size(0)), 0);
  std::vector<Prediction> predictions;
  for (int64_t i = 0; i < labels.size(0); ++i) {
    const auto label = labels[i].item<int64_t>();
    predictions.push_back({label < std::ssize(classes_) ? classes_[static_cast<size_t>(label)]
                                                        : std::to_string(label),
                           probabilities[i].item<double>()});
  }
  return predictions;
}

std::vector<Prediction> Predictor::classify(const fs::path& image, int64_t count) const {
  data::Sample sample;
  sample.image = data::read_image(image, data::read_options(config_.data));
  RandomStream unused(0, Purpose::kTransform);
  data::Pipeline{config_.data.eval_transforms,
                 {config_.model.image_size.height, config_.model.image_size.width}}
      .apply(sample, unused);
  const auto pixels = sample.image.clone();
  const at::Tensor batch = at::from_blob(
      pixels.data, {1, pixels.rows, pixels.cols, pixels.channels()}, at::TensorOptions(at::kByte));
  return top(score_pixels(batch).logits[0], count);
}

}  // namespace vim::train
