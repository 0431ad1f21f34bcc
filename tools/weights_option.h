// The choice between a checkpoint's weights and their average, as a command-line option.
#pragma once

#include "option_checks.h"
#include "vim/train/commands.h"

namespace vim::tools {

inline void add_weights_option(CLI::App& app, const std::string& name,
                               train::WeightChoice& choice) {
  using train::WeightChoice;
  set_choices<WeightChoice>(
      app.add_option(name, choice,
                     "Which weights: model, ema, or auto, the ones that did better in training"),
      {{"auto", WeightChoice::kAuto},
       {"model", WeightChoice::kModel},
       {"ema", WeightChoice::kEma}});
}

}  // namespace vim::tools
