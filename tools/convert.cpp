// vim-convert: looks into checkpoints and weights, and makes others of them.
#include "vim/train/convert.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "option_checks.h"
#include "tool.h"
#include "vim/core/error.h"
#include "vim/core/version.h"
#include "weights_option.h"

namespace {

using vim::train::StorageType;
using vim::train::WeightChoice;
namespace fs = std::filesystem;

void run(int argc, char** argv) {
  CLI::App app("Looks into checkpoints and weights (.safetensors, .pth), and makes others of them.",
               "vim-convert");
  app.set_version_flag("--version", "vim-convert " + vim::version());
  app.require_subcommand(1);
  fs::path from, to;
  std::vector<fs::path> files;
  vim::train::InspectOptions options;
  std::optional<StorageType> precision;
  WeightChoice choice = WeightChoice::kAuto;
  const auto command = [&](const char* name, const char* doc) {
    CLI::App* added = app.add_subcommand(name, doc);
    added->add_option("FROM", from, "File to read")->required();
    return added;
  };
  const auto conversion = [&](const char* name, const char* doc) {
    CLI::App* added = command(name, doc);
    added->add_option("TO", to, "File to write: .safetensors, .pth or .pt")->required();
    return added;
  };

  CLI::App* inspect = command("inspect", "Show the tree of tensors, and the metadata");
  inspect->add_flag("--statistics", options.statistics,
                    "With mean, deviation and range of each tensor");
  inspect->add_option("--depth", options.depth, "Show so many levels of names, sums of the rest")
      ->check(CLI::Range(1, 100));
  CLI::App* convert = conversion("convert", "Write another format or precision");
  vim::tools::set_choices<StorageType>(
      convert->add_option("--precision", precision, "Type of the weights"),
      {{"fp64", StorageType::kFp64},
       {"fp32", StorageType::kFp32},
       {"fp16", StorageType::kFp16},
       {"bf16", StorageType::kBf16}});
  CLI::App* extract = conversion("extract", "Write the weights alone");
  vim::tools::add_weights_option(*extract, "--weights", choice);
  CLI::App* strip = conversion("strip", "Leave out the optimiser's state");
  CLI::App* average = app.add_subcommand("average", "Write the mean of several files' weights");
  average->add_option("FROM", files, "Files of the same model")->required()->expected(1, -1);
  average->add_option("--output", to, "File to write")->required()->type_name("FILE");
  CLI::App* diff = command("diff", "Say what differs; exit code 1 where something does");
  diff->add_option("OTHER", to, "The other file")->required();
  CLI::App* verify = app.add_subcommand("verify", "Read whole files and check that they are good");
  verify->add_option("FILE", files, "Files")->required()->expected(1, -1);
  if (!vim::tools::parse(app, argc, argv)) return;

  if (*inspect) vim::train::inspect_file(from, options, std::cout);
  if (*convert) vim::train::convert_file(from, to, precision);
  if (*extract) vim::train::extract_weights(from, to, choice);
  if (*strip) vim::train::strip_file(from, to);
  if (*average) vim::train::average_files(files, to);
  if (*diff && !vim::train::same_files(from, to, std::cout)) {
    throw vim::Error("the files differ");
  }
  if (*verify && !vim::train::verify_files(files, std::cout)) {
    throw vim::Error("not every file is good");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return vim::tools::guarded("vim-convert", [&] { run(argc, argv); });
}
