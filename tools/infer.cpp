// vim-infer: classifies images, or runs a tensor through a model.
#include <CLI/CLI.hpp>

#include "option_checks.h"
#include "tool.h"
#include "vim/core/version.h"
#include "vim/train/commands.h"
#include "weights_option.h"

namespace {

void run(int argc, char** argv) {
  CLI::App app("Classifies images with a trained model.", "vim-infer");
  app.set_version_flag("--version", "vim-infer " + vim::version());
  app.footer(
      "Examples:\n"
      "  vim-infer --checkpoint runs/first/checkpoints/best.safetensors photos/ --json "
      "result.json\n"
      "  vim-infer --weights vim_t.pth --config configs/vim_tiny.yaml cat.jpg --top-k 3\n"
      "  vim-infer --weights vim_t.pth --config configs/vim_tiny.yaml --tensor in.safetensors "
      "--output out.safetensors\n"
      "Images that cannot be read are named, the others are done, and the exit code is 1.");

  vim::train::InferCommand command;
  auto* checkpoint = app.add_option("--checkpoint", command.checkpoint, "Checkpoint of vim-train")
                         ->type_name("FILE");
  auto* weights = app.add_option("--weights", command.weights,
                                 "Weights from elsewhere, .safetensors or .pth, in place of a "
                                 "checkpoint; needs --config")
                      ->type_name("FILE")
                      ->excludes(checkpoint);
  auto* config = app.add_option("--config", command.config,
                                "Configuration that describes the model of --weights")
                     ->type_name("FILE")
                     ->needs(weights);
  weights->needs(config);
  app.add_option("--set", command.overrides, "Change one key of the configuration; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  vim::tools::add_weights_option(app, "--use", command.choice);
  auto* images = app.add_option("images", command.images, "Images (JPEG, PNG) or folders of them");
  app.add_option("--top-k", command.top_k, "Classes to tell of each image")
      ->check(vim::tools::positive())
      ->capture_default_str();
  app.add_option("--json", command.json, "Write the classes to this file too")->type_name("FILE");
  app.add_option("--features", command.features,
                 "Write what goes into the head, a row an image, to this .safetensors or .pth file")
      ->type_name("FILE");
  auto* output = app.add_option("--output", command.output,
                                "Where the tensors 'features' and 'logits' of --tensor go")
                     ->type_name("FILE");
  auto* tensor = app.add_option("--tensor", command.tensor,
                                "Run the tensor 'input' [batch, channels, height, width] of this "
                                "file, already normalised, through the model; no images")
                     ->type_name("FILE")
                     ->excludes(images)
                     ->needs(output);
  output->needs(tensor);
  if (!vim::tools::parse(app, argc, argv)) return;
  if (!command.checkpoint && !command.weights)
    throw CLI::RequiredError("--checkpoint or --weights");
  if (!command.tensor && command.images.empty()) throw CLI::RequiredError("an image or --tensor");
  vim::tools::let_threads_sleep(argv);
  vim::train::infer(command);
}

}  // namespace

int main(int argc, char** argv) {
  return vim::tools::guarded("vim-infer", [&] { run(argc, argv); });
}
