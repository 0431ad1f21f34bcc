// vim-train: trains a model from a configuration file.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "option_checks.h"
#include "tool.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/stop.h"
#include "vim/core/text.h"
#include "vim/core/version.h"
#include "vim/train/commands.h"

namespace {

void run(int argc, char** argv) {
  CLI::App app("Trains a Vision Mamba model from a configuration file.", "vim-train");
  app.set_version_flag("--version", "vim-train " + vim::version());
  app.footer(
      "Example: vim-train --config configs/fashion_mnist.yaml --set optim.lr=2e-3 --output "
      "runs/first\n"
      "Ctrl-C or SIGTERM finishes the step, saves and exits with 130 or 143; a second one exits at "
      "once.\n"
      "Exit codes: 0 done, 1 failed, 2 wrong command line or configuration.");

  vim::train::TrainCommand command;
  std::string config_file, output, resume_from, replay;
  std::vector<std::string> overrides;
  std::string processes = "1";
  bool print_config = false, help_config = false;
  CLI::Option* config =
      app.add_option("--config", config_file, "Configuration file (YAML)")->type_name("FILE");
  app.add_option("--set", overrides, "Set one key, as in --set optim.lr=1e-3; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--output", output,
                 "Folder for checkpoints and metrics (default: runs/<name of the file>)")
      ->type_name("DIR");
  CLI::Option* resume = app.add_option("--resume", resume_from,
                                       "Go on from this checkpoint, or from the newest good one of "
                                       "the output folder; starts afresh "
                                       "where there is none")
                            ->type_name("[CHECKPOINT]")
                            ->expected(0, 1);
  app.add_flag("--overwrite", command.overwrite, "Replace the run that the output folder holds")
      ->excludes(resume);
  app.add_option("--nproc", processes,
                 "Train in so many processes of this machine; auto: one a GPU. data.batch_size is "
                 "each one's")
      ->check(vim::tools::process_count())
      ->type_name("N|auto");
  app.add_option("--replay", replay,
                 "Run a step again whose loss or gradients were not finite, from the file in the "
                 "run's dumps folder, with statistics of every tensor, and stop")
      ->type_name("DUMP")
      ->excludes(config);
  app.add_flag("--print-config", print_config, "Print the resolved configuration and stop");
  app.add_flag("--help-config", help_config, "Print every configuration key and stop");
  app.add_flag("--dry-run", command.dry_run,
               "Build everything, run one batch, print a summary and stop");
  if (!vim::tools::parse(app, argc, argv)) return;
  if (help_config) {
    std::cout << vim::config::reference<vim::train::RunConfig>();
    return;
  }
  if (!replay.empty()) {
    vim::tools::let_threads_sleep(argv);
    return vim::train::replay({replay, overrides});
  }
  if (config->count() == 0) throw CLI::RequiredError("--config");

  command.config = vim::config::load<vim::train::RunConfig>(config_file, overrides);
  if (print_config) {
    std::cout << vim::config::dump(command.config);
    return;
  }
  command.output = output;
  if (output.empty())
    command.output = std::filesystem::path("runs") / std::filesystem::path(config_file).stem();
  command.resume = resume->count() > 0;
  if (!resume_from.empty()) command.checkpoint = resume_from;
  const int count =
      processes == "auto" ? vim::train::local_processes(command.config) : std::stoi(processes);
  if (count > 1) std::exit(vim::tools::run_processes(count, argc, argv));
  vim::tools::let_threads_sleep(argv);
  vim::watch_stop_signals();
  vim::train::train(command);
}

}  // namespace

int main(int argc, char** argv) {
  return vim::tools::guarded("vim-train", [&] { run(argc, argv); });
}
