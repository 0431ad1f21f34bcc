// A step whose loss or gradients were not finite, in a file from which it can be run again.
//
// Safetensors: weights/<name>, as before the step, inputs/<rank>/<batch>/<index>, loss_scale; as
// metadata the resolved configuration, the version, and the step's numbers as JSON. The random
// numbers follow from the configuration's seed, the step and the rank.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "train/finite_guard.h"
#include "train/run_folder.h"
#include "vim/dist/process_group.h"
#include "vim/nn/weights.h"
#include "vim/tasks/task.h"

namespace vim::train {

struct Dump {
  std::string config;  // YAML
  std::string version;
  int64_t step = 0;       // of the run, from 1
  int64_t processes = 1;  // that trained together
  double loss_scale = 1;  // fp16
  nn::Weights weights;
  std::map<int, std::vector<tasks::Inputs>> inputs;  // accumulated batches of ranks
};

void save_dump(const std::filesystem::path& path, const Dump& dump);

// Throws Error, naming the file, where it is unreadable or none.
Dump load_dump(const std::filesystem::path& path);

// What all ranks have noted since they last looked, brought together.
struct Faults {
  int64_t count = 0;  // steps at fault
  int64_t first = 0;  // the first of them, counted as FiniteGuard does
  double loss = 0;    // its loss, on the first of `ranks`
  double loss_scale = 1;
  std::vector<int> ranks;  // one whose loss was not finite; all, where only gradients were not
};

// Collective. Where no rank has noted anything, count is 0.
Faults agree(dist::ProcessGroup& group, const FiniteGuard::Report& report);

// Collective: adds weights and inputs of the ranks at fault to `dump`, given each rank's own.
void gather(dist::ProcessGroup& group, const Faults& faults, const nn::Weights& weights,
            const std::vector<tasks::Inputs>& batches, Dump& dump);

}  // namespace vim::train
