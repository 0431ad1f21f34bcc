// vim-bench: speed and memory of models, side by side.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>

#include "bench_ddp.h"
#include "tool.h"
#include "vim/config/config.h"
#include "vim/core/version.h"
#include "vim/train/benchmark.h"

namespace {

void run(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "ddp") {
    vim::tools::bench_ddp(argc, argv);
    return;
  }
  using vim::train::BenchmarkMode;
  CLI::App app(
      "Measures models with random images: a table, and JSON or a picture where asked for.",
      "vim-bench");
  app.set_version_flag("--version", "vim-bench " + vim::version());
  app.footer(
      "Example: vim-bench --config configs/vim_tiny.yaml configs/deit_tiny.yaml --mode inference\n"
      "           --image-size 512 1024 1248 --batch 8 --set train.precision=bf16 --svg speed.svg");

  vim::train::BenchmarkCommand command;
  command.modes = {BenchmarkMode::kTrain, BenchmarkMode::kInference};
  std::vector<std::string> files, overrides;
  app.add_option("--config", files, "Configuration of a model; may be several")
      ->required()
      ->type_name("FILE");
  app.add_option("--set", overrides, "Set one key in all of them; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--mode", command.modes, "train (a whole step), inference, or both")
      ->transform(CLI::CheckedTransformer(std::map<std::string, BenchmarkMode>{
          {"train", BenchmarkMode::kTrain}, {"inference", BenchmarkMode::kInference}}))
      ->type_name("train|inference");
  app.add_option("--image-size", command.image_sizes, "Pixels a side (default: as configured)")
      ->check(CLI::PositiveNumber);
  app.add_option("--batch", command.batches, "Images (default: data.batch_size)")
      ->check(CLI::PositiveNumber);
  app.add_option("--seconds", command.seconds, "Time for each figure")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", command.json, "Write the figures to this file")->type_name("FILE");
  app.add_option("--svg", command.svg, "Draw them against the image size")->type_name("FILE");
  if (!vim::tools::parse(app, argc, argv)) return;
  vim::tools::let_threads_sleep(argv);
  for (const std::string& file : files) {
    command.models.push_back({std::filesystem::path(file).stem(),
                              vim::config::load<vim::train::RunConfig>(file, overrides)});
  }
  vim::train::benchmark(command);
}

}  // namespace

int main(int argc, char** argv) {
  return vim::tools::guarded("vim-bench", [&] { run(argc, argv); });
}
