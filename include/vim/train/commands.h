// What vim-train and vim-eval do, from a configuration to the last line.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vim/train/config.h"

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

enum class WeightChoice { kAuto, kModel, kEma };

struct EvalCommand {
  std::filesystem::path checkpoint;
  std::optional<std::string> data_root;
  std::vector<std::string> overrides;  // "a.b=c"
  WeightChoice weights = WeightChoice::kAuto;
  std::optional<std::filesystem::path> json;
};
void evaluate(const EvalCommand& command);

}  // namespace vim::train
