// Checkpoints on their way to the disk, while training goes on.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "train/checkpoint.h"
#include "train/run_folder.h"

namespace vim::train {

// Writes in a thread of its own, one checkpoint after another in the order of the calls. A crash at
// any time leaves the files that were whole before. Called from one thread.
class CheckpointWriter {
 public:
  CheckpointWriter(RunFolder folder, const CheckpointConfig& config);
  ~CheckpointWriter();  // after what is in work; a failure is logged
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Copies the tensors to the host and returns, having waited for the checkpoint before this one.
  // Each of `names` becomes a file; where "last" is one of them, checkpoint.keep_last older ones
  // stay as "previous", "previous_2"... Throws what rethrow does.
  void write(std::vector<std::string> names, const Checkpoint& checkpoint);

  // Throws the failure of an earlier checkpoint where checkpoint.on_error is stop; where it is
  // continue, failures are logged as warnings.
  void rethrow();

  // Waits until everything is on the disk. Throws where the newest checkpoint is not.
  void finish();

 private:
  struct Job {
    std::vector<std::string> names;
    Checkpoint checkpoint;
  };
  void work(const std::stop_token& stop);
  void save(const Job& job) const;
  void replace_last(const Checkpoint& checkpoint) const;

  const RunFolder folder_;
  const CheckpointConfig config_;
  std::mutex mutex_;  // guards the three below
  std::condition_variable_any changed_;
  std::optional<Job> job_;  // waiting or in work
  std::exception_ptr failure_;
  std::jthread thread_;
};

}  // namespace vim::train
