// The choice between a checkpoint's weights and their average, as a command-line option.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "vim/train/commands.h"

namespace vim::tools {

inline void add_weights_option(CLI::App& app, const std::string& name,
                               train::WeightChoice& choice) {
  using train::WeightChoice;
  app.add_option(name, choice,
                 "Which weights: model, ema, or auto, the ones that did better in training")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, WeightChoice>{{"auto", WeightChoice::kAuto},
                                              {"model", WeightChoice::kModel},
                                              {"ema", WeightChoice::kEma}}))
      ->type_name("auto|model|ema");
}

}  // namespace vim::tools
