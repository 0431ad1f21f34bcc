#include "bench_ddp.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "option_checks.h"
#include "tool.h"
#include "vim/config/config.h"
#include "vim/dist/launch.h"
#include "vim/train/benchmark_ddp.h"
#include "vim/train/commands.h"

namespace vim::tools {

void add_bench_ddp(CLI::App& app, int argc, char** argv) {
  auto* sub = app.add_subcommand("ddp", "Training in several processes against one");
  sub->footer(
      "'apart' is a step of all processes at once without reduction of gradients, 'together' with "
      "it; hidden is the\nshare of the all-reduce that costs no time. Where processes share the "
      "cores of a CPU, the one that they are\ncompared with has all these cores and the batches of "
      "all.\n"
      "Example: vim-bench ddp --config configs/vim_tiny.yaml --batch 128 --set "
      "train.precision=bf16 "
      "--json ddp.json");
  struct Options {
    train::DdpBenchmarkCommand command;
    std::vector<std::string> files, overrides;
    std::string processes = "auto";
  };
  const auto options = std::make_shared<Options>();
  sub->add_option("--config", options->files, "Configuration of a model; may be several")
      ->required()
      ->type_name("FILE");
  sub->add_option("--set", options->overrides, "Set one key in all of them; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  sub->add_option(
         "--nproc", options->processes,
         "Processes of this machine; auto: one a GPU, two on a CPU. Under torchrun, srun or "
         "mpirun, they are the launcher's")
      ->check(process_count())
      ->type_name("N|auto");
  sub->add_option("--batch", options->command.batches,
                  "Images a step of each process (default: data.batch_size)")
      ->check(vim::tools::positive());
  sub->add_option("--seconds", options->command.seconds, "Time for each figure")
      ->check(vim::tools::positive())
      ->capture_default_str();
  sub->add_option("--json", options->command.json, "Write the figures to this file")
      ->type_name("FILE");
  sub->callback([=] {
    train::DdpBenchmarkCommand command = options->command;
    for (const std::string& file : options->files) {
      command.models.push_back({std::filesystem::path(file).stem(),
                                config::load<train::RunConfig>(file, options->overrides)});
    }
    const bool is_launched = !dist::detect_launch().launcher.empty();
    const int count = options->processes == "auto"
                          ? train::local_processes(command.models.front().config, /*on_cpu=*/2)
                          : std::stoi(options->processes);
    if (!is_launched) std::exit(run_processes(count, argc, argv, /*name_output=*/false));
    train::benchmark_ddp(command);
  });
}

}  // namespace vim::tools
