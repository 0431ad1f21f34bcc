// metrics.jsonl: what a run measured, as data.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json_fwd.hpp>

namespace vim::train {

class MetricsWriter {
 public:
  // Keeps the lines up to and including step `last_step` (those of a run that goes on) and appends
  // from there.
  MetricsWriter(const std::filesystem::path& path, int64_t last_step);

  // Writes one line, which must hold a "step", and flushes it.
  void write(const nlohmann::ordered_json& line);

 private:
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace vim::train
