// The folder that a training run leaves:
//
//   config.yaml          the resolved configuration
//   metrics.jsonl        one JSON object a line
//   checkpoints/         last.safetensors, best.safetensors, epoch_0010.safetensors, ...
#pragma once

#include <filesystem>
#include <string>

namespace vim::train {

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path config() const { return root_ / "config.yaml"; }
  std::filesystem::path metrics() const { return root_ / "metrics.jsonl"; }
  std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }
  std::filesystem::path checkpoint(const std::string& name) const {
    return checkpoints() / (name + ".safetensors");
  }

  // Whether a run has left something here.
  bool holds_run() const;

  // Removes what a run left, and nothing else.
  void remove_run() const;

  // Makes the folders and writes config.yaml.
  void create(const std::string& resolved_config) const;

 private:
  std::filesystem::path root_;
};

}  // namespace vim::train
