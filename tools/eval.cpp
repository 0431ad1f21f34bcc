// vim-eval: measures a checkpoint on the evaluation images.
#include <CLI/CLI.hpp>

#include "tool.h"
#include "vim/core/version.h"
#include "vim/train/commands.h"
#include "weights_option.h"

namespace {

void run(int argc, char** argv) {
  CLI::App app("Evaluates a checkpoint. It holds its own configuration; no other file is needed.",
               "vim-eval");
  app.set_version_flag("--version", "vim-eval " + vim::version());
  app.footer(
      "Example: vim-eval --checkpoint runs/first/checkpoints/best.safetensors --json result.json");

  vim::train::EvalCommand command;
  app.add_option("--checkpoint", command.checkpoint, "Checkpoint of vim-train")
      ->required()
      ->type_name("FILE");
  app.add_option("--data", command.data_root, "Folder of the data set (default: as in training)")
      ->type_name("DIR");
  app.add_option("--set", command.overrides, "Change one key of the configuration; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  vim::tools::add_weights_option(app, "--weights", command.weights);
  app.add_option("--json", command.json, "Write the result to this file too")->type_name("FILE");
  if (!vim::tools::parse(app, argc, argv)) return;
  vim::tools::let_threads_sleep(argv);
  vim::train::evaluate(command);
}

}  // namespace

int main(int argc, char** argv) {
  return vim::tools::guarded("vim-eval", [&] { run(argc, argv); });
}
