// What this process may use of the machine, and what a loader makes of it.
#pragma once

#include <cstdint>
#include <filesystem>

namespace vim::data {

// Cores that this process may run on: by its affinity and by the limit of its control group, which
// a container has. `root` stands in for / in tests.
int64_t usable_cores(const std::filesystem::path& root = "/");

// Bytes that are free, within the limit of the control group.
int64_t usable_memory(const std::filesystem::path& root = "/");

// Samples that a worker takes at once.
int64_t chunk_of(int64_t batch_size, int64_t workers);

// Batches that are ready or in work: as many as keep every worker busy while two are ready, but no
// more than fit into `memory` bytes, and at least two.
int64_t automatic_prefetch(int64_t batch_size, int64_t workers, int64_t batch_bytes,
                           int64_t memory);

}  // namespace vim::data
