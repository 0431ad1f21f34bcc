#include "data/resources.h"

#include <catch2/catch.hpp>
#include <thread>

#include "support/support.h"
#include "vim/core/file.h"

using namespace vim::data;
using vim::test::ScratchFolder;

namespace {

void put(const ScratchFolder& root, const std::string& path, const std::string& text) {
  std::filesystem::create_directories((root / path).parent_path());
  vim::write_atomically(root / path, text);
}

constexpr int64_t kMiB = int64_t{1} << 20;

}  // namespace

TEST_CASE("Cores and memory are what the control group leaves of the machine's") {
  const int64_t cores = std::thread::hardware_concurrency();
  const ScratchFolder bare;
  CHECK(usable_cores(bare.path()) == cores);
  put(bare, "proc/meminfo", "MemTotal: 9 kB\nMemAvailable:   2048 kB\n");
  CHECK(usable_memory(bare.path()) == 2 * kMiB);

  const ScratchFolder group;
  put(group, "proc/meminfo", "MemAvailable: 1048576 kB\n");
  put(group, "sys/fs/cgroup/cpu.max", "100000 100000\n");
  put(group, "sys/fs/cgroup/memory.max", "104857600\n");
  put(group, "sys/fs/cgroup/memory.current", "52428800\n");
  CHECK(usable_cores(group.path()) == 1);
  CHECK(usable_memory(group.path()) == 50 * kMiB);
  put(group, "sys/fs/cgroup/cpu.max", "20000 100000\n");
  CHECK(usable_cores(group.path()) == 1);
  put(group, "sys/fs/cgroup/cpu.max", "max 100000\n");
  put(group, "sys/fs/cgroup/memory.max", "max\n");
  CHECK(usable_cores(group.path()) == cores);
  CHECK(usable_memory(group.path()) == 1024 * kMiB);

  const ScratchFolder old;
  put(old, "proc/meminfo", "MemAvailable: 1048576 kB\n");
  put(old, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
  put(old, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  put(old, "sys/fs/cgroup/memory/memory.limit_in_bytes", "10485760\n");
  put(old, "sys/fs/cgroup/memory/memory.usage_in_bytes", "20971520\n");
  CHECK(usable_cores(old.path()) == 1);
  CHECK(usable_memory(old.path()) == 0);
  put(old, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  CHECK(usable_cores(old.path()) == cores);
}

TEST_CASE("So many batches are made ahead as the workers have in hand, and two, if memory allows") {
  constexpr int64_t kEnough = int64_t{1} << 40;
  for (const int64_t workers : {1, 2, 16, 128}) {
    for (const int64_t batch : {1, 8, 64, 128, 1024}) {
      const int64_t depth = automatic_prefetch(batch, workers, 1, kEnough);
      CAPTURE(workers, batch, depth);
      const int64_t chunk = chunk_of(batch, workers);
      CHECK((chunk >= 1 && chunk <= 16));
      // While the workers fill their chunks, two batches and the one that is waited for are whole.
      CHECK((depth == 64 || (depth - 3) * batch >= workers * chunk));
      CHECK((depth == 4 || (depth - 4) * batch < workers * chunk));
    }
  }
  CHECK(automatic_prefetch(128, 16, 19 * kMiB, 60 * kMiB) == 3);
  CHECK(automatic_prefetch(128, 16, 19 * kMiB, 0) == 2);
}
