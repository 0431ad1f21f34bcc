#include "train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/log.h"
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

MetricsWriter::MetricsWriter(const std::filesystem::path& path, int64_t last_step,
                             OnSaveError on_error)
    : path_(path), on_error_(on_error) {
  write_atomically(path, lines_until(path, last_step));
  descriptor_ = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor_ < 0) throw Error(concat(path.string(), ": cannot open: ", std::strerror(errno)));
}

MetricsWriter::~MetricsWriter() {
  close(descriptor_);
}

bool MetricsWriter::append(const std::string& text) const {
  const off_t end = lseek(descriptor_, 0, SEEK_END);
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(descriptor_, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int reason = errno;
      if (done > 0 && ftruncate(descriptor_, end) != 0)
        log::warning(path_.string() + ": a line is cut off");
      errno = reason;
      return false;
    }
    done += static_cast<size_t>(written);
  }
  return true;
}

void MetricsWriter::write(const nlohmann::ordered_json& line) {
  VIM_CHECK(line.contains("step"));
  const bool failed_before = std::exchange(failed_, !append(line.dump() + "\n"));
  if (!failed_) return;
  const std::string reason = std::strerror(errno);
  const std::string problem = concat(path_.string(), ": cannot write: ", reason);
  if (on_error_ == OnSaveError::kStop) throw Error(problem);
  if (!failed_before) log::warning(concat(problem, "; training goes on without these lines"));
}

nlohmann::ordered_json as_record(int64_t step, const std::vector<Observed>& observed) {
  static constexpr std::array kSections = {"inputs", "weights", "outputs", "output_gradients",
                                           "weight_gradients"};
  nlohmann::ordered_json record = {{"kind", "statistics"}, {"step", step}};
  for (const Observed& entry : observed) {
    const Statistics& s = entry.statistics;
    auto& section = record[kSections[static_cast<size_t>(entry.kind)]];
    std::string name = entry.name;  // a layer may have several operators, or be used twice
    for (int i = 2; section.contains(name); ++i) name = concat(entry.name, "#", i);
    section[name] = {
        {"min", s.min}, {"max", s.max}, {"mean_abs", s.mean_abs}, {"not_finite", s.not_finite}};
  }
  return record;
}

}  // namespace vim::train
