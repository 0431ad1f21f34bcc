// The report of vim-train --dry-run.
#pragma once

#include <string>

#include "train/run_folder.h"
#include "train/trainer.h"
#include "vim/train/config.h"

namespace vim::train {

// Runs one batch forward and backward.
std::string summary(const RunConfig& config, tasks::Task& task, Trainer& trainer,
                    const RunFolder& folder);

}  // namespace vim::train
