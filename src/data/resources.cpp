#include "data/resources.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <thread>

namespace vim::data {
namespace {

constexpr int64_t kMaxChunk = 16, kMaxPrefetch = 64;
constexpr int64_t kReady = 2;  // batches

// The first words of a file, of which one may be a number.
std::optional<int64_t> number_in(const std::filesystem::path& path, const std::string& after = "") {
  std::ifstream file(path);
  std::string word;
  while (!after.empty() && file >> word && word != after) {
  }
  int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// Cores' worth of time in a second: the second version of control groups, then the first.
std::optional<double> core_limit(const std::filesystem::path& root) {
  const std::filesystem::path groups = root / "sys/fs/cgroup";
  std::ifstream both(groups / "cpu.max");  // "quota period", or "max period"
  double quota = 0, period = 0;
  if (both >> quota >> period && period > 0) return quota / period;
  const auto old_quota = number_in(groups / "cpu/cpu.cfs_quota_us");
  const auto old_period = number_in(groups / "cpu/cpu.cfs_period_us");
  if (!old_quota || !old_period || *old_quota <= 0 || *old_period <= 0) return std::nullopt;
  return static_cast<double>(*old_quota) / static_cast<double>(*old_period);
}

}  // namespace

int64_t usable_cores(const std::filesystem::path& root) {
  const int64_t cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  const auto limit = core_limit(root);
  if (!limit) return cores;
  return std::clamp<int64_t>(static_cast<int64_t>(*limit + 0.5), 1, cores);
}

int64_t usable_memory(const std::filesystem::path& root) {
  constexpr int64_t kUnknown = int64_t{4} << 30;
  const auto free_kilobytes = number_in(root / "proc/meminfo", "MemAvailable:");
  int64_t bytes = free_kilobytes ? *free_kilobytes * 1024 : kUnknown;
  const std::filesystem::path groups = root / "sys/fs/cgroup";
  for (const auto& [limit, used] :
       {std::pair{"memory.max", "memory.current"},
        {"memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"}}) {
    if (const auto most = number_in(groups / limit)) {
      bytes = std::min(bytes, std::max<int64_t>(0, *most - number_in(groups / used).value_or(0)));
    }
  }
  return bytes;
}

int64_t chunk_of(int64_t batch_size, int64_t workers) {
  return std::clamp<int64_t>(batch_size / (2 * workers), 1, kMaxChunk);
}

int64_t automatic_prefetch(int64_t batch_size, int64_t workers, int64_t batch_bytes,
                           int64_t memory) {
  const int64_t in_work = workers * chunk_of(batch_size, workers);
  // One more, since the batch that is needed next may wait for its last image.
  const int64_t wanted = (in_work + batch_size - 1) / batch_size + 1 + kReady;
  const int64_t fit = memory / std::max<int64_t>(1, batch_bytes);
  return std::clamp<int64_t>(std::min(wanted, fit), 2, kMaxPrefetch);
}

}  // namespace vim::data
