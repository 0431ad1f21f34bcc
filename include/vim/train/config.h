// How a model is trained, and the root of a configuration file.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vim/config/visitor.h"
#include "vim/data/config.h"
#include "vim/dist/config.h"
#include "vim/nn/config.h"
#include "vim/tasks/config.h"

namespace vim::train {

// AdamW (Loshchilov & Hutter, arXiv 1711.05101).
struct OptimConfig {
  double lr = 5e-4;
  int64_t lr_base_batch = 512;
  double weight_decay = 0.05;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double clip_grad = 0;
  bool decay_A_log = false;
  double layer_decay = 1;
  std::vector<std::string> freeze;
  bool operator==(const OptimConfig&) const = default;
};

// Linear warm-up, then half a cosine.
struct ScheduleConfig {
  double warmup_epochs = 5;
  bool warmup_prefix = false;
  double warmup_lr = 1e-6;
  double min_lr = 1e-5;
  bool per_epoch = false;
  bool lr_epoch_offset = false;
  bool operator==(const ScheduleConfig&) const = default;
};

// An exponential moving average of the weights.
struct EmaConfig {
  bool enabled = true;
  double decay = 0.99996;
  bool operator==(const EmaConfig&) const = default;
};

// What happens where a checkpoint cannot be written.
enum class OnSaveError { kStop, kContinue };

struct CheckpointConfig {
  int64_t every_steps = 0;
  int64_t every_epochs = 1;
  int64_t keep_last = 2;
  int64_t keep_every_epochs = 0;
  OnSaveError on_error = OnSaveError::kStop;
  bool operator==(const CheckpointConfig&) const = default;
};

// Numbers of matrix products and activations; weights, their gradients and the residual stream are
// float32 in all. tf32 rounds the factors of products to 10 bits of mantissa, on GPUs that have it.
enum class Precision { kFp32, kTf32, kBf16, kFp16 };

struct TrainConfig {
  int64_t epochs = 300;
  Precision precision = Precision::kFp32;
  bool cuda_graph = true;
  int64_t accumulation = 1;
  int64_t evaluate_every_epochs = 1;
  int64_t log_every_steps = 10;
  int64_t statistics_every_steps = 0;
  int64_t max_skipped_steps = 0;
  bool operator==(const TrainConfig&) const = default;
};

// The whole file.
struct RunConfig {
  int64_t seed = 0;
  std::string device = "auto";
  std::optional<int64_t> threads;
  tasks::TaskConfig task;
  nn::ModelConfig model;
  data::DataConfig data;
  OptimConfig optim;
  ScheduleConfig schedule;
  EmaConfig ema;
  TrainConfig train;
  dist::DistConfig dist;
  CheckpointConfig checkpoint;
  bool operator==(const RunConfig&) const = default;
};

void describe(config::Visitor& v, OptimConfig& c);
void describe(config::Visitor& v, ScheduleConfig& c);
void describe(config::Visitor& v, EmaConfig& c);
void describe(config::Visitor& v, CheckpointConfig& c);
void describe(config::Visitor& v, TrainConfig& c);
void describe(config::Visitor& v, RunConfig& c);
void check(const RunConfig& c, config::Problems& problems);

}  // namespace vim::train

namespace vim::config {

template <>
inline constexpr auto enum_names<train::OnSaveError> = named<train::OnSaveError>(
    {{train::OnSaveError::kStop, "stop"}, {train::OnSaveError::kContinue, "continue"}});
template <>
inline constexpr auto enum_names<train::Precision> =
    named<train::Precision>({{train::Precision::kFp32, "fp32"},
                             {train::Precision::kTf32, "tf32"},
                             {train::Precision::kBf16, "bf16"},
                             {train::Precision::kFp16, "fp16"}});

}  // namespace vim::config
