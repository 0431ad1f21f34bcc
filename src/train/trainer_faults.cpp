// What the trainer does about steps whose loss or gradients were not finite. The device has skipped
// them by itself (train/finite_guard.h).
#include <ATen/ATen.h>

#include <cmath>

#include "train/trainer.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/core/version.h"

namespace fs = std::filesystem;

namespace vim::train {
namespace {

constexpr int64_t kDumps = 3;  // of a run: each holds the weights and a batch

std::string in_words(const Faults& faults, int64_t step, int ranks) {
  const bool by_loss = !std::isfinite(faults.loss);
  std::string text =
      concat("step ", step, ": the loss is ", std::isnan(faults.loss) ? "nan" : concat(faults.loss),
             by_loss ? "" : " and its gradients are not finite");
  if (by_loss && ranks > 1) text += concat(" on rank ", faults.ranks.front());
  if (faults.count > 1) text += concat(", and ", faults.count - 1, " more since then went wrong");
  return text;
}

// Whether there is room for one more; one of the same step is written anew.
bool wants_dump(const RunFolder& folder, int64_t step) {
  std::error_code problem;
  const fs::directory_iterator dumps(folder.dumps(), problem);
  return problem || fs::exists(folder.dump(step)) || std::distance(dumps, {}) < kDumps;
}

}  // namespace

// Looks at what the device has noted since the last time. Collective, and waits for the device.
void Trainer::answer_faults() {
  const FiniteGuard::Report report = step_.guard().report();
  const at::Tensor noted = at::full({}, static_cast<double>(report.faults), tally_.options());
  if (mean_over_ranks(noted) == 0) return step_.guard().restart();

  const Faults faults = agree(group_, report);
  const int64_t since = report.steps - faults.first;  // the first of them, and the steps after it
  const int64_t step = progress_.step - since + 1;
  progress_.skipped += faults.count;
  const std::string problem = in_words(faults, step, group_.size());
  const std::string dumped = dump_step(faults, step, progress_.step_in_epoch - since);
  step_.guard().restart();
  const int64_t most = config_.train.max_skipped_steps;
  const std::string shown =
      dumped.empty() ? "" : concat("; vim-train --replay ", dumped, " shows why");
  if (progress_.skipped > most) {
    throw Error(concat(problem, shown,
                       "; resume from an earlier checkpoint with a lower optim.lr, with "
                       "optim.clip_grad, or with train.max_skipped_steps above ",
                       most, " to leave such steps out"));
  }
  log::warning(concat(problem, "; skipped (", progress_.skipped, " of at most ", most,
                      " steps so far)", shown));
}

// Number `step` of the run, which came after `step_in_epoch` others of this epoch. The file that
// was written, or nothing.
std::string Trainer::dump_step(const Faults& faults, int64_t step, int64_t step_in_epoch) {
  const bool wanted = group_.is_main() && wants_dump(folder_, step);
  if (group_.broadcast(wanted ? "wanted" : "", 0).empty()) return "";
  nn::Weights weights = nn::weights_of(task_.model());
  for (const auto& [name, tensor] : step_.guard().kept()) weights[name] = tensor;
  Dump dump{config::dump(config_), version(), step, group_.size(), faults.loss_scale, {}, {}};
  const std::vector<tasks::Inputs> batches = batches_again(step_in_epoch);
  mark("dumping a step that went wrong", /*patience=*/true);
  gather(group_, faults, weights, batches, dump);
  const fs::path path = folder_.dump(step);
  std::string problem;
  if (group_.is_main()) {
    try {
      fs::create_directories(folder_.dumps());
      save_dump(path, dump);
    } catch (const std::exception& failure) {
      problem = failure.what();
      log::warning(concat(problem, "; no dump of step ", step));
    }
  }
  return group_.broadcast(problem, 0).empty() ? path.string() : "";
}

// A batch depends on the seed and its place in the epoch alone.
std::vector<tasks::Inputs> Trainer::batches_again(int64_t step_in_epoch) {
  data::Loader& loader = task_.train_loader();
  loader.begin(progress_.epoch, step_in_epoch * config_.train.accumulation);
  std::vector<tasks::Inputs> batches = next_batches();
  if (progress_.step_in_epoch < steps_per_epoch()) {
    loader.begin(progress_.epoch, progress_.step_in_epoch * config_.train.accumulation);
  }
  return batches;
}

}  // namespace vim::train
