// The training loop, a straight line: epochs, steps, and what ends an epoch.
#pragma once

#include <optional>
#include <string>

#include "train/checkpoint.h"
#include "train/checkpoint_writer.h"
#include "train/dump.h"
#include "train/ema.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/progress_line.h"
#include "train/run_folder.h"
#include "train/schedule.h"
#include "train/train_step.h"
#include "vim/dist/data_parallel.h"
#include "vim/dist/process_group.h"
#include "vim/tasks/task.h"
#include "vim/train/config.h"

namespace vim::train {

class Trainer {
 public:
  // `task` and `group` outlive the trainer. On a GPU, all of them belong to one stream of its own
  // (own_stream).
  Trainer(const RunConfig& config, tasks::Task& task, dist::ProcessGroup& group, RunFolder folder);

  // Goes on from this state; `source` names it in errors. Only rank 0 needs to be told.
  void resume(const Checkpoint& checkpoint, const std::string& source);

  // Trains to the end. Throws Stopped, after it saved, when a signal asked for it.
  void run();

  // One batch forward and backward, without an update; the loss.
  double try_batch();

  int64_t steps_per_epoch() const { return schedule_.steps_per_epoch; }
  int64_t global_batch() const;
  int processes() const { return group_.size(); }
  double peak_lr() const { return schedule_.peak_lr; }
  bool finished() const { return progress_.epoch >= config_.train.epochs; }

 private:
  void replicate();
  void mark(const char* activity, bool patience = false);
  double mean_over_ranks(const at::Tensor& value);
  void train_epoch();
  void train_step();
  std::vector<tasks::Inputs> next_batches();
  void log_step(double loss);
  void read_tally();

  // trainer_faults.cpp
  void answer_faults();
  std::string dump_step(const Faults& faults, int64_t step, int64_t step_in_epoch);
  std::vector<tasks::Inputs> batches_again(int64_t step_in_epoch);

  void finish_epoch();
  void save_epoch();
  tasks::Metrics evaluate();
  tasks::Metrics evaluate_once();
  void stop_if_asked();
  void save(std::vector<std::string> names);

  RunConfig config_;
  tasks::Task& task_;
  dist::ProcessGroup& group_;
  RunFolder folder_;
  Schedule schedule_;
  AdamW optimizer_;
  std::optional<Ema> ema_;
  std::optional<dist::DataParallel> parallel_;  // in a world of more than one
  TrainStep step_;
  Progress progress_;
  int64_t first_step_ = 0;                // of this process
  bool files_complete_ = false;           // those of the epoch at whose end the run resumes
  at::Tensor tally_;                      // FiniteGuard's, over the steps of this epoch
  std::optional<MetricsWriter> metrics_;  // of rank 0
  std::optional<CheckpointWriter> checkpoints_;
  std::optional<ProgressLine> line_;
};

}  // namespace vim::train
