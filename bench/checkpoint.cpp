// What a checkpoint of Vim-Ti costs the training thread, against the copy that it needs and the
// file.
#include <benchmark/benchmark.h>

#include <filesystem>

#include "train/checkpoint_writer.h"
#include "vim/config/config.h"
#include "vim/nn/model.h"

namespace {

using namespace vim::train;

using Tensors = std::map<std::string, at::Tensor>;

Tensors clones(const Tensors& tensors) {
  Tensors copies;
  for (const auto& [name, tensor] : tensors) copies.emplace(name, tensor.detach().clone());
  return copies;
}

// Weights, average, two moments: 114 MB.
const Checkpoint& vim_tiny() {
  static const Checkpoint checkpoint = [] {
    const auto model = vim::nn::make_classifier({});
    Checkpoint made;
    made.model = clones(vim::nn::weights_of(*model));
    made.ema = clones(made.model);
    for (const auto& [name, tensor] : made.model) {
      made.optimizer.emplace("exp_avg/" + name, tensor.clone());
      made.optimizer.emplace("exp_avg_sq/" + name, tensor.clone());
    }
    return made;
  }();
  return checkpoint;
}

RunFolder scratch_folder() {
  const RunFolder folder(std::filesystem::temp_directory_path() / "vim_bench_checkpoint");
  folder.create("");
  return folder;
}

void Copy(benchmark::State& state) {
  const Checkpoint& checkpoint = vim_tiny();
  for (auto _ : state) {
    benchmark::DoNotOptimize(clones(checkpoint.model));
    benchmark::DoNotOptimize(clones(checkpoint.ema));
    benchmark::DoNotOptimize(clones(checkpoint.optimizer));
  }
}

void WriteBesideTraining(benchmark::State& state) {
  CheckpointWriter writer(scratch_folder(), {});
  for (auto _ : state) {
    writer.write({"last"}, vim_tiny());
    state.PauseTiming();
    writer.finish();
    state.ResumeTiming();
  }
}

void WriteAndWait(benchmark::State& state) {
  const RunFolder folder = scratch_folder();
  for (auto _ : state) save_checkpoint(folder.checkpoint("last"), vim_tiny());
}

BENCHMARK(Copy)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(WriteBesideTraining)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(10);
BENCHMARK(WriteAndWait)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

}  // namespace

BENCHMARK_MAIN();
