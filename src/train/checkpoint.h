// A training run's state in one safetensors file.
//
// Tensors: model/<name>, ema/<name>, optimizer/<name>. Everything else is JSON or YAML in the
// metadata: config, progress, classes, version, and an XXH3 hash of every tensor and of all the
// rest, so that damage is noticed.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vim/io/tensor_file.h"
#include "vim/nn/weights.h"
#include "vim/train/config.h"
#include "vim/train/predictor.h"

namespace vim::train {

// Where a run stands. Everything random is a function of these numbers and the seed.
struct Progress {
  int64_t epoch = 0;          // epochs finished
  int64_t step_in_epoch = 0;  // steps finished in the epoch after those
  int64_t step = 0;           // steps finished in all
  double epoch_loss_sum = 0;  // over the steps of step_in_epoch, but for those that were skipped,
  double epoch_skipped = 0;   // which are so many,
  int64_t skipped = 0;        // and so many in all
  double best = -1;           // the best headline metric so far, of the model or the average
  int64_t best_epoch = 0;     // and the epoch (from 1) after which it was measured
  double headline = -1;       // that of the model in the last evaluation
  double ema_headline = -1;   // that of the average, where there is one
  bool operator==(const Progress&) const = default;
};

struct Checkpoint {
  std::string config;  // the resolved configuration, YAML
  std::string version;
  std::vector<std::string> classes;
  Progress progress;
  nn::Weights model;
  nn::Weights ema;  // empty without EMA
  std::map<std::string, at::Tensor> optimizer;
  int64_t processes = 1;  // that trained it together
};

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);

// Throws Error, naming the file, where it is unreadable, damaged or not one of ours.
Checkpoint load_checkpoint(const std::filesystem::path& path);

// Whether the file says that it is a checkpoint; it may be damaged.
bool is_checkpoint(const std::filesystem::path& path);

// Tensors and metadata as in a checkpoint, but for the marks by which one is verified.
io::TensorFile to_file(const Checkpoint& checkpoint);

// Adds those marks: the format's name, and hashes of everything that the file holds.
void seal(io::TensorFile& file);

// The configuration that it was trained with, changed by `overrides` ("a.b=c"). `source` names the
// checkpoint in errors, as below.
RunConfig config_of(const Checkpoint& checkpoint, const std::string& source,
                    const std::vector<std::string>& overrides);

// Whether `choice` means the averaged weights: where it is kAuto, if they did better than the
// model's in the last evaluation before this checkpoint. Throws UsageError where there are none.
bool chooses_ema(const Checkpoint& checkpoint, WeightChoice choice, const std::string& source);
const nn::Weights& chosen_weights(const Checkpoint& checkpoint, WeightChoice choice,
                                  const std::string& source);

struct FoundCheckpoint {
  std::filesystem::path path;
  Checkpoint checkpoint;
};

// The newest good checkpoint of a folder; damaged ones are named in a warning and passed over.
std::optional<FoundCheckpoint> newest_checkpoint(const std::filesystem::path& folder);

}  // namespace vim::train
