// What a checkpoint of Vim-Ti and Vim-S costs the training thread, against the copy that it needs
// and the file.
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

// Weights, average, two moments, of a model of that width.
Checkpoint checkpoint_of(int64_t embed_dim) {
  vim::nn::ModelConfig config;
  config.embed_dim = embed_dim;
  const auto model = vim::nn::make_classifier(config);
  Checkpoint made;
  made.model = clones(vim::nn::weights_of(*model));
  made.ema = clones(made.model);
  for (const auto& [name, tensor] : made.model) {
    made.optimizer.emplace("exp_avg/" + name, tensor.clone());
    made.optimizer.emplace("exp_avg_sq/" + name, tensor.clone());
  }
  return made;
}

void tell_size(benchmark::State& state, const Checkpoint& checkpoint) {
  double bytes = 0;
  for (const Tensors* tensors : {&checkpoint.model, &checkpoint.ema, &checkpoint.optimizer}) {
    for (const auto& [name, tensor] : *tensors) bytes += static_cast<double>(tensor.nbytes());
  }
  state.counters["MB"] = bytes / 1e6;
}

RunFolder scratch_folder() {
  const RunFolder folder(std::filesystem::temp_directory_path() / "vim_bench_checkpoint");
  folder.create("");
  return folder;
}

void Copy(benchmark::State& state) {
  const Checkpoint checkpoint = checkpoint_of(state.range(0));
  tell_size(state, checkpoint);
  for (auto _ : state) {
    benchmark::DoNotOptimize(clones(checkpoint.model));
    benchmark::DoNotOptimize(clones(checkpoint.ema));
    benchmark::DoNotOptimize(clones(checkpoint.optimizer));
  }
}

void WriteBesideTraining(benchmark::State& state) {
  const Checkpoint checkpoint = checkpoint_of(state.range(0));
  CheckpointWriter writer(scratch_folder(), {});
  for (auto _ : state) {
    writer.write({"last"}, checkpoint);
    state.PauseTiming();
    writer.finish();
    state.ResumeTiming();
  }
}

void WriteAndWait(benchmark::State& state) {
  const Checkpoint checkpoint = checkpoint_of(state.range(0));
  const RunFolder folder = scratch_folder();
  for (auto _ : state) save_checkpoint(folder.checkpoint("last"), checkpoint);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  constexpr int64_t kTiny = 192, kSmall = 384;
  benchmark->ArgName("embed_dim")->Arg(kTiny)->Arg(kSmall);
  benchmark->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK(Copy)->Apply(sizes);
BENCHMARK(WriteBesideTraining)->Apply(sizes)->Iterations(10);
BENCHMARK(WriteAndWait)->Apply(sizes)->Iterations(5);

}  // namespace

BENCHMARK_MAIN();
