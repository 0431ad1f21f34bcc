#include "train/metrics.h"

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"

namespace vim::train {
namespace {

// A line cut off by a crash is dropped too.
std::string lines_until(const std::filesystem::path& path, int64_t last_step) {
  std::string kept, line;
  std::istringstream lines(std::filesystem::exists(path) ? read_file(path) : "");
  while (std::getline(lines, line)) {
    const auto parsed = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (parsed.is_object() && parsed.value("step", last_step + 1) <= last_step) kept += line + "\n";
  }
  return kept;
}

}  // namespace

MetricsWriter::MetricsWriter(const std::filesystem::path& path, int64_t last_step) : path_(path) {
  write_atomically(path, lines_until(path, last_step));
  file_.open(path, std::ios::app);
}

void MetricsWriter::write(const nlohmann::ordered_json& line) {
  VIM_CHECK(line.contains("step"));
  file_ << line.dump() << std::endl;
  if (!file_) throw Error(concat(path_.string(), ": cannot write: ", std::strerror(errno)));
}

}  // namespace vim::train
