// What several processes gain over one (vim-bench ddp).
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "vim/train/benchmark.h"

namespace vim::train {

struct DdpBenchmarkCommand {
  std::vector<BenchmarkCommand::Model> models;
  std::vector<int64_t> batches;  // images a step of each process; empty: as configured
  double seconds = 3;            // of measuring, for each time
  std::optional<std::filesystem::path> json;
};

// Times in milliseconds of a training step: medians, of the slowest process.
struct DdpBenchmarkResult {
  std::string model;
  Precision precision;
  int64_t image_size, batch;  // each process's
  int processes, machine_shares;
  double alone;  // one process, the others idle, with the cores and the images of those that share
                 // its cores
  double apart;  // all of them at once, each for itself
  double together;   // all of them at once, gradients averaged
  double reduction;  // averaging as many bytes in the same buckets, and nothing else
  int64_t bytes;     // of a step's gradients, as they travel
  int64_t buckets;

  double images_per_second_alone() const;
  double images_per_second() const;

  // Of the images that as many machines or GPUs would do without each other.
  double efficiency() const;

  // The share of the reduction that costs no time, for it runs beside the backward pass.
  double hidden() const;
};

// Collective: measures every model at every batch with random images, in the world that the
// environment describes. Rank 0 prints a table and writes the file.
void benchmark_ddp(const DdpBenchmarkCommand& command);

}  // namespace vim::train
