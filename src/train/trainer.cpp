#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "train/replicas.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/core/version.h"

namespace vim::train {
namespace {

int64_t count_steps(tasks::Task& task, const TrainConfig& config) {
  const int64_t batches = task.train_loader().batches_per_epoch();
  if (batches < config.accumulation) {
    throw UsageError(concat("data.batch_size: an epoch has only ", batches,
                            " full batches, too few for a step of ", config.accumulation,
                            "; take a smaller batch or train.accumulation"));
  }
  return batches / config.accumulation;
}

}  // namespace

Trainer::Trainer(const RunConfig& config, tasks::Task& task, dist::ProcessGroup& group,
                 RunFolder folder)
    : config_(config),
      task_(task),
      group_(group),
      folder_(std::move(folder)),
      schedule_{config.schedule, scaled_lr(config.optim, global_batch()),
                count_steps(task, config.train), config.train.epochs},
      optimizer_(task.model(), config.optim),
      ema_(config.ema.enabled ? std::optional<Ema>(std::in_place, task.model(), config.ema.decay)
                              : std::nullopt),
      parallel_(group.size() > 1 ? std::optional<dist::DataParallel>(std::in_place, task.model(),
                                                                     group, config.dist)
                                 : std::nullopt),
      step_(config_, task, optimizer_, ema_ ? &*ema_ : nullptr, parallel_ ? &*parallel_ : nullptr) {
  allow_tf32(config.train.precision);
}

int64_t Trainer::global_batch() const {
  return config_.data.batch_size * config_.train.accumulation * group_.size();
}

void Trainer::resume(const Checkpoint& checkpoint, const std::string& source) {
  nn::load_weights(task_.model(), checkpoint.model, source);
  optimizer_.load_state(checkpoint.optimizer, source);
  step_.load_state(checkpoint.optimizer);
  if (ema_) ema_->load(checkpoint.ema, source);
  progress_ = checkpoint.progress;
  files_complete_ = source == folder_.checkpoint("last").string();
  if (progress_.step != progress_.epoch * steps_per_epoch() + progress_.step_in_epoch) {
    throw Error(concat(source, ": it was written with another number of steps an epoch (now ",
                       steps_per_epoch(),
                       "); resume with the data and the global batch (data.batch_size x "
                       "train.accumulation x processes) of that run"));
  }
}

// Rank 0 may have resumed, and the others need not even see its files.
void Trainer::replicate() {
  static_assert(std::is_trivially_copyable_v<Progress>);
  const std::string bytes(reinterpret_cast<const char*>(&progress_), sizeof(progress_));
  std::memcpy(&progress_, group_.broadcast(bytes, 0).data(), sizeof(progress_));
  files_complete_ = !group_.broadcast(files_complete_ ? "complete" : "", 0).empty();
  first_step_ = progress_.step;
  if (!parallel_) return;
  copy_from_main(group_, nn::weights_of(task_.model()));
  if (ema_) copy_from_main(group_, ema_->weights());
  if (progress_.step > 0) {
    copy_from_main(group_, optimizer_.state());
    copy_from_main(group_, step_.state());
  }
  require_same(group_, {{"model", checksum(nn::weights_of(task_.model()))}});
}

// The first step warms up caches, kernels and data, each rank at its own pace.
void Trainer::mark(const char* activity, bool patience) {
  group_.mark({activity, patience || progress_.step == first_step_});
}

double Trainer::mean_over_ranks(const at::Tensor& value) {
  at::Tensor sum = value.clone();
  group_.all_reduce_sum(sum);
  return sum.item<double>() / group_.size();
}

void Trainer::read_tally() {
  progress_.epoch_loss_sum = mean_over_ranks(tally_[0]);
  progress_.epoch_skipped = mean_over_ranks(tally_[1]);
}

void Trainer::run() {
  replicate();
  if (group_.is_main()) {
    metrics_.emplace(folder_.metrics(), progress_.step, config_.checkpoint.on_error);
  }
  checkpoints_.emplace(folder_, config_.checkpoint);
  line_.emplace(config_.train.epochs, steps_per_epoch(), global_batch(), progress_.step);
  task_.model().train();
  if (progress_.epoch > 0 && progress_.step_in_epoch == 0 && !files_complete_) save_epoch();
  while (!finished()) {
    train_epoch();
    finish_epoch();
    stop_if_asked();
  }
  checkpoints_->finish();
}

void Trainer::train_epoch() {
  tally_ = at::tensor({progress_.epoch_loss_sum, progress_.epoch_skipped}, at::kDouble)
               .to(optimizer_.device());
  line_->start_epoch(progress_.step);
  task_.train_loader().begin(progress_.epoch, progress_.step_in_epoch * config_.train.accumulation);
  while (progress_.step_in_epoch < steps_per_epoch()) {
    train_step();
    checkpoints_->rethrow();
    const bool last = progress_.step_in_epoch == steps_per_epoch();
    if (!last && config_.checkpoint.every_steps > 0 &&
        progress_.step % config_.checkpoint.every_steps == 0) {
      save({"last"});
    }
    if (!last) stop_if_asked();
  }
}

std::vector<tasks::Inputs> Trainer::next_batches() {
  std::vector<tasks::Inputs> batches;
  for (int64_t i = 0; i < config_.train.accumulation; ++i) {
    mark("waiting for images");
    batches.push_back(task_.prepare(*task_.train_loader().next()));
  }
  return batches;
}

void Trainer::train_step() {
  seed_step(config_.seed, progress_.step, group_.rank());
  std::vector<tasks::Inputs> batches = next_batches();
  mark("computing gradients");
  const int64_t statistics = config_.train.statistics_every_steps;
  std::optional<Observer> observer;
  if (statistics > 0 && (progress_.step + 1) % statistics == 0) {
    observer.emplace(task_.model(), Observer::Detail::kLayers);
  }
  const at::Tensor loss =
      step_.run(std::move(batches), schedule_.lr(progress_.step), observer ? &*observer : nullptr);

  tally_ += step_.guard().tally();
  ++progress_.step;
  ++progress_.step_in_epoch;
  if (observer && metrics_) metrics_->write(as_record(progress_.step, observer->read()));
  // Reading the loss waits for the device, so it happens at the logging cadence only.
  if (progress_.step % config_.train.log_every_steps == 0) {
    answer_faults();
    log_step(mean_over_ranks(loss));
  }
}

void Trainer::log_step(double loss) {
  if (!group_.is_main()) return;
  const double lr = schedule_.lr(progress_.step - 1);
  metrics_->write({{"kind", "step"},
                   {"step", progress_.step},
                   {"epoch", progress_.epoch + 1},
                   {"loss", loss},
                   {"gradient_norm", step_.guard().norm().item<double>()},
                   {"lr", lr}});
  log::status(line_->text(progress_.step, loss, lr, task_.train_loader().waited_seconds()));
}

void Trainer::finish_epoch() {
  const double seconds = line_->seconds();
  const double rate = line_->images_per_second(progress_.step);
  answer_faults();
  read_tally();
  const double loss = progress_.epoch_loss_sum /
                      (static_cast<double>(progress_.step_in_epoch) - progress_.epoch_skipped);
  progress_.epoch += 1;
  progress_.step_in_epoch = 0;
  progress_.epoch_loss_sum = progress_.epoch_skipped = 0;

  nlohmann::ordered_json record = {{"kind", "epoch"},
                                   {"step", progress_.step},
                                   {"epoch", progress_.epoch},
                                   {"train_loss", loss},
                                   {"seconds", seconds},
                                   {"images_per_second", rate},
                                   {"skipped_steps", progress_.skipped}};
  std::string message =
      concat("epoch ", progress_.epoch, "/", config_.train.epochs, ": loss ", fixed(loss, 4), ", ",
             std::llround(rate), " img/s, ", as_duration(seconds));
  const int64_t every = config_.train.evaluate_every_epochs;
  if (finished() || (every > 0 && progress_.epoch % every == 0)) {
    const char* before = "; evaluation: ";
    for (const auto& [name, value] : evaluate()) {
      record[name] = value;
      message += concat(std::exchange(before, ", "), name, " ",
                        fixed(value, name.ends_with("loss") ? 4 : 2));
    }
  }
  if (metrics_) metrics_->write(record);
  log::info(message);
  save_epoch();
}

// Called again when a run resumes at the end of an epoch from another checkpoint than "last", which
// is written last: a crash came between two of the files.
void Trainer::save_epoch() {
  std::vector<std::string> names;
  const int64_t keep = config_.checkpoint.keep_every_epochs;
  if (keep > 0 && progress_.epoch % keep == 0) {
    const std::string number = std::to_string(progress_.epoch);
    names.push_back("epoch_" + std::string(4 - std::min<size_t>(4, number.size()), '0') + number);
  }
  if (progress_.best_epoch == progress_.epoch) names.push_back("best");
  if (finished() || progress_.epoch % config_.checkpoint.every_epochs == 0) names.push_back("last");
  if (!names.empty()) save(std::move(names));
}

tasks::Metrics Trainer::evaluate_once() {
  const AutocastScope autocast(config_.train.precision, optimizer_.device());
  return task_.evaluate();
}

// Of the model and of the average; the better one decides what is best.
tasks::Metrics Trainer::evaluate() {
  mark("evaluating", /*patience=*/true);
  tasks::Metrics metrics = evaluate_once();
  progress_.headline = metrics.front().second;
  if (ema_) {
    const EmaScope shown(*ema_);
    const tasks::Metrics averaged = evaluate_once();
    progress_.ema_headline = averaged.front().second;
    for (const auto& [name, value] : averaged) metrics.emplace_back("ema_" + name, value);
  }
  const double headline = std::max(progress_.headline, progress_.ema_headline);
  if (headline > progress_.best) {
    progress_.best = headline;
    progress_.best_epoch = progress_.epoch;
  }
  return metrics;
}

void Trainer::stop_if_asked() {
  const int signal = group_.agreed_stop();
  if (signal == 0 || finished()) return;
  save({"last"});
  checkpoints_->finish();
  throw Stopped(concat("stopped by signal ", signal, " after step ", progress_.step, "; saved in ",
                       folder_.checkpoint("last").string(), ", go on with --resume"),
                signal);
}

void Trainer::save(std::vector<std::string> names) {
  if (progress_.step_in_epoch > 0) {
    answer_faults();
    read_tally();
  }
  mark("saving a checkpoint", /*patience=*/true);
  if (!group_.is_main()) return;
  Checkpoint checkpoint{
      config::dump(config_),         version(), task_.classes(),    progress_,
      nn::weights_of(task_.model()), {},        optimizer_.state(), group_.size()};
  checkpoint.optimizer.merge(step_.state());
  if (ema_) checkpoint.ema = ema_->weights();
  checkpoints_->write(std::move(names), checkpoint);
}

double Trainer::try_batch() {
  task_.model().train();
  task_.train_loader().begin(0, 0);
  const at::Tensor loss = step_.loss_and_gradients(task_.prepare(*task_.train_loader().next()));
  return loss.item<double>() * static_cast<double>(config_.train.accumulation);
}

}  // namespace vim::train
