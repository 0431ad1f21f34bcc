// What vim-train, vim-eval and vim-infer do, from a configuration to the last line.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vim/train/config.h"
#include "vim/train/predictor.h"

namespace vim::train {

struct TrainCommand {
  RunConfig config;
  std::filesystem::path output;
  bool resume = false;
  std::optional<std::filesystem::path>
      checkpoint;  // to resume from; else the newest good one of `output`
  bool overwrite = false;
  bool dry_run = false;
};
void train(const TrainCommand& command);

// Runs a step again that went wrong (train/dump.h); prints the statistics of every tensor in it,
// and which one was the first with values that are not finite.
struct ReplayCommand {
  std::filesystem::path dump;
  std::vector<std::string> overrides;  // "a.b=c"
};
void replay(const ReplayCommand& command);

// How many processes use this machine well: one a GPU, and `on_cpu` where the CPU computes.
int local_processes(const RunConfig& config, int on_cpu = 1);

struct EvalCommand {
  std::filesystem::path checkpoint;
  std::optional<std::string> data_root;
  std::vector<std::string> overrides;  // "a.b=c"
  WeightChoice weights = WeightChoice::kAuto;
  std::optional<std::filesystem::path> json;
};
void evaluate(const EvalCommand& command);

struct InferCommand {
  std::optional<std::filesystem::path> checkpoint;  // or both of the following
  std::optional<std::filesystem::path> weights, config;
  std::vector<std::string> overrides;  // "a.b=c"
  WeightChoice choice = WeightChoice::kAuto;
  std::vector<std::filesystem::path> images;  // files and folders
  int64_t top_k = 5;
  std::optional<std::filesystem::path> json, features;
  std::optional<std::filesystem::path> tensor, output;  // in place of images
};
void infer(const InferCommand& command);

}  // namespace vim::train
