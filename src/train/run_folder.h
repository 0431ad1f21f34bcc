// The folder that a training run leaves:
//
//   config.yaml          the resolved configuration
//   metrics.jsonl        one JSON object a line
//   checkpoints/         last.safetensors, best.safetensors, epoch_0010.safetensors, ...
//   dumps/               step_00000124.safetensors: steps that went wrong (train/dump.h)
//   run.lock             held by the process that writes here; its text is that process's number
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace vim::train {

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path config() const { return root_ / "config.yaml"; }
  std::filesystem::path metrics() const { return root_ / "metrics.jsonl"; }
  std::filesystem::path lock() const { return root_ / "run.lock"; }
  std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }
  std::filesystem::path checkpoint(const std::string& name) const {
    return checkpoints() / (name + ".safetensors");
  }

  std::filesystem::path dumps() const { return root_ / "dumps"; }
  std::filesystem::path dump(int64_t step) const;

  // Whether a run has left something here.
  bool holds_run() const;

  // Throws Error where the folder is missing and cannot be made.
  void require_creatable() const;

  // Removes what a run left, and nothing else.
  void remove_run() const;

  // Makes the folders and writes config.yaml.
  void create(const std::string& resolved_config) const;

 private:
  std::filesystem::path root_;
};

// The right to write into a run's folder, for as long as this lives. The kernel takes it back from
// a process that was killed.
class RunLock {
 public:
  // Makes the folder where it is missing. Error where another process holds it.
  explicit RunLock(const RunFolder& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace vim::train
