#include "vim/train/commands.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "train/checkpoint.h"
#include "train/device.h"
#include "train/optimizer.h"
#include "train/precision.h"
#include "train/replicas.h"
#include "train/run_folder.h"
#include "train/settings.h"
#include "train/summary.h"
#include "train/trainer.h"
#include "train/world.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/log.h"
#include "vim/core/random.h"
#include "vim/core/text.h"
#include "vim/core/version.h"
#include "vim/io/tensor_file.h"
#include "vim/nn/import.h"

namespace fs = std::filesystem;

namespace vim::train {
namespace {

std::unique_ptr<tasks::Task> build_task(const RunConfig& config, const World& world,
                                        bool for_training) {
  const int threads = threads_of(config, *world.group);
  if (threads != at::get_num_threads()) at::set_num_threads(threads);
  const uint64_t seed = static_cast<uint64_t>(config.seed);
  at::manual_seed(RandomStream(seed, Purpose::kInit).bits());
  return tasks::make_task({.task = config.task,
                           .model = config.model,
                           .data = config.data,
                           .seed = seed,
                           .device = world.device,
                           .group = world.group.get(),
                           .for_training = for_training});
}

void require_classes(const std::vector<std::string>& expected,
                     const std::vector<std::string>& found, const std::string& source) {
  if (expected == found) return;
  std::string difference = concat(expected.size(), " classes there, ", found.size(), " here");
  for (size_t i = 0; i < std::min(expected.size(), found.size()); ++i) {
    if (expected[i] != found[i]) {
      difference = concat("class ", i, " is '", expected[i], "' there and '", found[i], "' here");
      break;
    }
  }
  throw Error(concat(source, ": its classes are not those of the data (", difference,
                     "); give the data set that it was trained on"));
}

// The weights that model.init_from names, in place of random ones.
void initialize(torch::nn::Module& model, const nn::ModelConfig& config) {
  const nn::Weights weights = nn::find_weights(io::read_tensors(config.init_from), config.init_ema);
  if (weights.empty()) {
    throw UsageError(
        concat("model.init_from: ", config.init_from, " holds no ",
               config.init_ema ? "averaged weights; set model.init_ema: false" : "weights"));
  }
  const nn::ImportReport report = nn::import_weights(model, config, weights, config.init_from);
  log::info(concat(config.init_from, ": ", report.text()));
}

// What a resumed run does differently from the one that wrote the checkpoint.
void report_changes(const std::string& before, const std::string& now) {
  std::map<std::string, std::string> old = settings_of(before);
  std::vector<std::string> changed;
  for (const auto& [path, value] : settings_of(now)) {
    if (old[path] != value) changed.push_back(concat(path, ": ", value));
  }
  if (!changed.empty()) {
    log::warning(concat("changed since the checkpoint was written: ", join(changed, ", ")));
  }
}

std::optional<FoundCheckpoint> find_start(const TrainCommand& command, const RunFolder& folder) {
  if (!command.resume) return std::nullopt;
  if (command.checkpoint)
    return FoundCheckpoint{*command.checkpoint, load_checkpoint(*command.checkpoint)};
  std::optional<FoundCheckpoint> found = newest_checkpoint(folder.checkpoints());
  if (!found)
    log::info(concat("no checkpoint in ", folder.checkpoints().string(), ", starting afresh"));
  return found;
}

// Files are rank 0's business: the others need not see the folder.
void train_in(const World& world, const TrainCommand& command) {
  dist::ProcessGroup& group = *world.group;
  const RunFolder folder(command.output);
  if (group.is_main() && folder.holds_run() && !command.resume && !command.overwrite &&
      !command.dry_run) {
    throw UsageError(concat(
        folder.root().string(),
        " holds a run already; go on with --resume, replace it with --overwrite, or choose another "
        "--output"));
  }
  std::optional<RunLock> lock;
  const auto lock_folder = [&] {
    if (group.is_main() && !command.dry_run && !lock) lock.emplace(folder);
  };
  // A new folder comes once the data are open, so that a mistake leaves none.
  if (fs::exists(folder.root())) {
    lock_folder();
  } else if (group.is_main()) {
    folder.require_creatable();
  }
  const std::optional<FoundCheckpoint> start =
      group.is_main() ? find_start(command, folder) : std::nullopt;
  const bool is_finished = start && !command.dry_run && start->path == folder.checkpoint("last") &&
                           start->checkpoint.progress.epoch >= command.config.train.epochs;
  if (!group.broadcast(is_finished ? "finished" : "", 0).empty()) {
    log::info(concat(folder.root().string(), ": already finished (train.epochs is ",
                     command.config.train.epochs, "); raise train.epochs to train on"));
    return;
  }
  const std::string& init_from = command.config.model.init_from;
  const bool initializes = group.is_main() && !start && !init_from.empty();
  if (initializes && !fs::exists(init_from)) {  // before the images are listed, which takes long
    throw Error(concat("model.init_from: there is no file ", init_from));
  }
  const std::string resolved = config::dump(command.config);
  require_same(group, {{"version", version()}, {"configuration", resolved}});
  const auto stream = own_stream(world.device);
  const auto task = build_task(command.config, world, /*for_training=*/true);
  if (group.size() > 1)
    require_same(group, {{"data", data::fingerprint(task->train_loader().dataset())}});
  if (initializes) initialize(task->model(), command.config.model);
  freeze(task->model(), command.config.optim.freeze);
  Trainer trainer(command.config, *task, group, folder);
  if (start) {
    require_classes(start->checkpoint.classes, task->classes(), start->path.string());
    report_changes(start->checkpoint.config, resolved);
    trainer.resume(start->checkpoint, start->path.string());
    if (start->checkpoint.processes != group.size()) {
      log::warning(concat("written by ", start->checkpoint.processes, " processes, now there are ",
                          group.size(),
                          ": the images stay the same, but what is random by process does not, and "
                          "sums are rounded otherwise"));
    }
    log::info(concat("resuming from ", start->path.string(), " at step ",
                     start->checkpoint.progress.step));
  }
  if (command.dry_run) {
    const std::string text = summary(command.config, *task, trainer, folder);
    if (group.is_main()) std::cout << text;
    return;
  }
  lock_folder();
  if (group.is_main()) {
    if (command.overwrite) folder.remove_run();
    folder.create(resolved);
  }
  trainer.run();
  log::info(concat("checkpoint: ", folder.checkpoint("last").string(),
                   ", best: ", folder.checkpoint("best").string()));
  log::info(concat("metrics: ", folder.metrics().string()));
}

}  // namespace

void train(const TrainCommand& command) {
  const World world = join_world(command.config);
  world.group->run([&] { train_in(world, command); });
}

int local_processes(const RunConfig& config, int on_cpu) {
  const int gpus = config.device == "cpu" ? 0 : count_gpus();
  return gpus > 0 ? gpus : on_cpu;
}

void evaluate(const EvalCommand& command) {
  const std::string source = command.checkpoint.string();
  const Checkpoint checkpoint = load_checkpoint(command.checkpoint);
  std::vector<std::string> overrides = command.overrides;
  if (command.data_root) overrides.push_back("data.root=" + *command.data_root);
  const RunConfig config = config_of(checkpoint, source, overrides);
  const bool use_ema = chooses_ema(checkpoint, command.weights, source);
  const World world = join_world(config);
  tasks::Metrics metrics;
  world.group->run([&] {
    const auto task = build_task(config, world, /*for_training=*/false);
    require_classes(checkpoint.classes, task->classes(), source);
    nn::load_weights(task->model(), chosen_weights(checkpoint, command.weights, source), source);
    allow_tf32(config.train.precision);
    const AutocastScope autocast(config.train.precision, world.device);
    metrics = task->evaluate();
  });
  if (!world.group->is_main()) return;

  nlohmann::ordered_json result = {{"checkpoint", source},
                                   {"step", checkpoint.progress.step},
                                   {"epoch", checkpoint.progress.epoch},
                                   {"weights", use_ema ? "ema" : "model"}};
  std::string line = use_ema ? "averaged weights:" : "model weights:";
  for (const auto& [name, value] : metrics) {
    result[name] = value;
    line += concat(" ", name, " ", fixed(value, name == "loss" ? 4 : 2));
  }
  std::cout << line << "\n";
  if (command.json) write_atomically(*command.json, result.dump(2) + "\n");
}

}  // namespace vim::train
