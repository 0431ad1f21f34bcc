// vim-bench: speed and memory of models, of operators, and of the data pipeline.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "bench_ddp.h"
#include "data_bench_options.h"
#include "option_checks.h"
#include "tool.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/stop.h"
#include "vim/core/version.h"
#include "vim/train/benchmark.h"
#include "vim/train/benchmark_ops.h"

namespace {

using vim::tools::one_of;
using vim::tools::positive;
using vim::tools::set_choices;
using vim::train::BenchmarkMode;
using vim::train::OpShape;
using vim::train::Precision;

// Each adds a subcommand that runs when it was named.

void add_model(CLI::App& app) {
  auto* sub = app.add_subcommand("model", "Models with random images, side by side");
  sub->footer(
      "Example: vim-bench model --config configs/vim_tiny.yaml configs/deit_tiny.yaml\n"
      "           --mode inference --image-size 512 1024 1248 --batch 8\n"
      "           --set train.precision=bf16 --svg speed.svg");
  struct Options {
    vim::train::BenchmarkCommand command;
    std::vector<std::string> files, overrides;
  };
  const auto options = std::make_shared<Options>();
  vim::train::BenchmarkCommand& command = options->command;
  command.modes = {BenchmarkMode::kTrain, BenchmarkMode::kInference};
  sub->add_option("--config", options->files, "Configuration of a model; may be several")
      ->required()
      ->type_name("FILE");
  sub->add_option("--set", options->overrides, "Set one key in all of them; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  set_choices<BenchmarkMode>(
      sub->add_option("--mode", command.modes, "train (a whole step), inference, or both"),
      {{"train", BenchmarkMode::kTrain}, {"inference", BenchmarkMode::kInference}});
  sub->add_option("--image-size", command.image_sizes, "Pixels a side (default: as configured)")
      ->check(positive());
  sub->add_option("--batch", command.batches, "Images (default: data.batch_size)")
      ->check(positive());
  sub->add_option("--seconds", command.seconds, "Time for each figure")
      ->check(positive())
      ->capture_default_str();
  sub->add_option("--json", command.json, "Write the figures to this file")->type_name("FILE");
  sub->add_option("--svg", command.svg, "Draw them against the image size")->type_name("FILE");
  sub->callback([=] {
    vim::train::BenchmarkCommand all = options->command;
    for (const std::string& file : options->files) {
      all.models.push_back({std::filesystem::path(file).stem(),
                            vim::config::load<vim::train::RunConfig>(file, options->overrides)});
    }
    vim::train::benchmark(all);
  });
}

OpShape parse_shape(const std::string& text) {
  OpShape shape{};
  char end = 0;
  if (std::sscanf(text.c_str(), "%ldx%ldx%ld%c", &shape.batch, &shape.channels, &shape.length,
                  &end) != 3 ||
      shape.batch < 1 || shape.channels < 2 || shape.channels % 2 != 0 || shape.length < 1) {
    throw vim::UsageError("--shape: '" + text +
                          "' is not BATCHxCHANNELSxLENGTH with an even number of channels, such "
                          "as 128x384x197");
  }
  return shape;
}

void add_ops(CLI::App& app, bool& all_well) {
  auto* sub = app.add_subcommand("ops", "Operators one by one, checked before they are timed");
  sub->footer(
      "Compares results and gradients with the CPU's in double, then times forward, forward that\n"
      "keeps what backward needs, and backward, both directions in one. GB/s counts what a call\n"
      "has to read and write; 'of copy' compares with copying memory. Exit code 1 where an\n"
      "operator was wrong.\n"
      "Example: vim-bench ops scan --shape 128x384x197 8x384x6085 --type bf16 fp32 --json "
      "ops.json");
  struct Options {
    vim::train::OpsBenchmarkCommand command;
    std::vector<std::string> shapes;
  };
  const auto options = std::make_shared<Options>();
  vim::train::OpsBenchmarkCommand& command = options->command;
  sub->add_option("OPERATOR", command.ops, "Which ones (default: all)")
      ->check(one_of(vim::train::benchmark_op_names()))
      ->type_name("");
  sub->add_option("--shape", options->shapes,
                  "Channels are the mixer's inner ones, twice the model's width (default: Vim-Ti's "
                  "and Vim-S's)")
      ->type_name("BATCHxCHANNELSxLENGTH");
  set_choices<Precision>(
      sub->add_option("--type", command.types,
                      "Of the activations (default: bf16; on the CPU fp32)"),
      {{"fp32", Precision::kFp32}, {"bf16", Precision::kBf16}, {"fp16", Precision::kFp16}});
  sub->add_option("--device", command.device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str()
      ->type_name("DEVICE");
  sub->add_option("--state", command.state, "States of a channel")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  sub->add_option("--seconds", command.seconds, "Time for each figure")
      ->check(positive())
      ->capture_default_str();
  sub->add_option("--json", command.json, "Write the figures to this file")->type_name("FILE");
  sub->callback([=, &all_well] {
    vim::train::OpsBenchmarkCommand all = options->command;
    for (const std::string& text : options->shapes) all.shapes.push_back(parse_shape(text));
    all_well = vim::train::benchmark_ops(all);
  });
}

int run(int argc, char** argv) {
  CLI::App app("Measures models, operators and the data pipeline.", "vim-bench");
  app.set_version_flag("--version", "vim-bench " + vim::version());
  app.footer("Exit codes: 0 done, 1 failed, 2 wrong command line or configuration.");
  app.require_subcommand(1);
  bool all_well = true;
  add_ops(app, all_well);
  add_model(app);
  vim::tools::add_bench_ddp(app, argc, argv);
  vim::tools::describe_data_bench(*app.add_subcommand(
      "data", "The data pipeline, stage by stage, on one core and on all; as vim-data bench"));
  vim::tools::let_threads_sleep(argv);
  vim::tools::parse(app, argc, argv);
  return all_well ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  int code = 0;
  const int failure = vim::tools::guarded("vim-bench", [&] { code = run(argc, argv); });
  return failure != 0 ? failure : code;
}
