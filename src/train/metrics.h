// metrics.jsonl: what a run measured, as data.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "train/observer.h"
#include "vim/train/config.h"

namespace vim::train {

class MetricsWriter {
 public:
  // Keeps the lines up to and including step `last_step` (those of a run that goes on) and appends
  // from there.
  MetricsWriter(const std::filesystem::path& path, int64_t last_step, OnSaveError on_error);
  ~MetricsWriter();
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;

  // Writes one line, which must hold a "step", whole or not at all. Where that fails, throws Error
  // or warns once, as `on_error` says.
  void write(const nlohmann::ordered_json& line);

 private:
  bool append(const std::string& text) const;  // or errno

  std::filesystem::path path_;
  OnSaveError on_error_;
  int descriptor_;  // not a stream, whose buffer libstdc++ overruns when writing fails repeatedly
  bool failed_ = false;  // the last time
};

// A line of this kind: {"kind": "statistics", "outputs": {"layers.0.norm": {"min": ...}, ...},
// ...}.
nlohmann::ordered_json as_record(int64_t step, const std::vector<Observed>& observed);

}  // namespace vim::train
