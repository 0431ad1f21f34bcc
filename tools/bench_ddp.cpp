#include "bench_ddp.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "tool.h"
#include "vim/config/config.h"
#include "vim/dist/launch.h"
#include "vim/train/benchmark_ddp.h"
#include "vim/train/commands.h"

namespace vim::tools {

void bench_ddp(int argc, char** argv) {
  CLI::App app("Measures training in several processes against one, with random images.",
               "vim-bench ddp");
  app.footer(
      "'apart' is a step of all processes at once without reduction of gradients, 'together' with "
      "it; hidden is the\nshare of the all-reduce that costs no time. Where processes share the "
      "cores of a CPU, the one that they are\ncompared with has all these cores and the batches of "
      "all.\n"
      "Example: vim-bench ddp --config configs/vim_tiny.yaml --batch 128 --set "
      "train.precision=bf16 "
      "--json ddp.json");
  train::DdpBenchmarkCommand command;
  std::vector<std::string> files, overrides;
  std::string processes = "auto";
  app.add_option("ddp")->required()->group("");  // the subcommand's own name
  app.add_option("--config", files, "Configuration of a model; may be several")
      ->required()
      ->type_name("FILE");
  app.add_option("--set", overrides, "Set one key in all of them; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option(
         "--nproc", processes,
         "Processes of this machine; auto: one a GPU, two on a CPU. Under torchrun, srun or "
         "mpirun, they are the launcher's")
      ->check(CLI::IsMember({"auto"}) | CLI::Range(1, 1024))
      ->type_name("N|auto");
  app.add_option("--batch", command.batches,
                 "Images a step of each process (default: data.batch_size)")
      ->check(CLI::PositiveNumber);
  app.add_option("--seconds", command.seconds, "Time for each figure")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", command.json, "Write the figures to this file")->type_name("FILE");
  if (!parse(app, argc, argv)) return;
  for (const std::string& file : files) {
    command.models.push_back(
        {std::filesystem::path(file).stem(), config::load<train::RunConfig>(file, overrides)});
  }
  const bool is_launched = !dist::detect_launch().launcher.empty();
  const int count = processes == "auto"
                        ? train::local_processes(command.models.front().config, /*on_cpu=*/2)
                        : std::stoi(processes);
  if (!is_launched) std::exit(run_processes(count, argc, argv, /*name_output=*/false));
  let_threads_sleep(argv);
  train::benchmark_ddp(command);
}

}  // namespace vim::tools
