// metrics.jsonl: what a run measured, as data.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json_fwd.hpp>

#include "train/observer.h"
#include "vim/train/config.h"

namespace vim::train {

class MetricsWriter {
 public:
  // Keeps the lines up to and including step `last_step` (those of a run that goes on) and appends
  // from there.
  MetricsWriter(const std::filesystem::path& path, int64_t last_step, OnSaveError on_error);

  // Writes one line, which must hold a "step", and flushes it. Where that fails, throws Error or
  // warns once, as `on_error` says.
  void write(const nlohmann::ordered_json& line);

 private:
  std::filesystem::path path_;
  OnSaveError on_error_;
  std::ofstream file_;
  bool failed_ = false;  // the last time
};

// A line of this kind: {"kind": "statistics", "outputs": {"layers.0.norm": {"min": ...}, ...},
// ...}.
nlohmann::ordered_json as_record(int64_t step, const std::vector<Observed>& observed);

}  // namespace vim::train
