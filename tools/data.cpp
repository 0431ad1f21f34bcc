// vim-data: looks at images and data sets, and prepares them.
#include <CLI/CLI.hpp>
#include <iostream>

#include "data_bench_options.h"
#include "option_checks.h"
#include "tool.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/stop.h"
#include "vim/core/text.h"
#include "vim/core/version.h"
#include "vim/data/commands.h"
#include "vim/data/fixed_transforms.h"
#include "vim/train/config.h"

namespace {

// Each adds a subcommand that runs when it was named.

void add_apply(CLI::App& app) {
  auto* sub = app.add_subcommand("apply", "Apply transforms with fixed arguments to an image");
  const auto command = std::make_shared<vim::data::ApplyCommand>();
  const auto help = std::make_shared<bool>(false);
  sub->footer(
      "Example: vim-data apply --transforms '[{crop: [5, 3, 45, 39]}, flip]' in.jpg out.png");
  sub->add_option("--transforms", command->transforms,
                  "YAML list; --help-transforms tells what it may hold")
      ->type_name("YAML");
  sub->add_flag("--help-transforms", *help, "Print every transform with its arguments and stop");
  sub->add_option("IN", command->input, "JPEG or PNG file");
  sub->add_option("OUT", command->output, "PNG file to write");
  sub->callback([=] {
    if (*help) {
      std::cout << vim::config::reference<vim::data::fixed::List>();
      return;
    }
    if (command->transforms.empty()) throw CLI::RequiredError("--transforms");
    if (command->input.empty()) throw CLI::RequiredError("IN");
    if (command->output.empty()) throw CLI::RequiredError("OUT");
    vim::data::apply(*command);
  });
}

void add_preview(CLI::App& app) {
  auto* sub =
      app.add_subcommand("preview", "A contact sheet of training images, transform by transform");
  struct Options {
    vim::data::PreviewCommand command;
    std::string config;
    std::vector<std::string> overrides;
    std::optional<uint64_t> seed;
  };
  const auto options = std::make_shared<Options>();
  sub->add_option("--config", options->config, "Configuration file (YAML)")
      ->required()
      ->type_name("FILE");
  sub->add_option("--set", options->overrides, "Set one key; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  sub->add_option("--seed", options->seed, "Another seed than the configuration's");
  sub->add_option("--epoch", options->command.epoch, "Epoch, from 0")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub->add_option("--images", options->command.images, "Rows of the sheet")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  sub->add_option("OUT", options->command.output, "PNG file to write")->required();
  sub->callback([=] {
    const auto config =
        vim::config::load<vim::train::RunConfig>(options->config, options->overrides);
    vim::data::PreviewCommand command = options->command;
    command.data = config.data;
    command.input = {config.model.image_size.height, config.model.image_size.width};
    command.seed = options->seed.value_or(static_cast<uint64_t>(config.seed));
    vim::data::preview(command);
  });
}

const std::vector<std::string> kImageFormats = {"image_folder", "webdataset", "packed"};

// Where the data are, and in which of those formats. `data` lives as long as the subcommand.
void add_data_options(CLI::App& sub, vim::data::DataConfig& data,
                      const std::vector<std::string>& formats) {
  sub.add_option("DIR", data.root, "data.root")->required();
  sub.add_option_function<std::string>(
         "--format",
         [&data](const std::string& chosen) {
           for (const auto& [format, name] : vim::config::enum_names<vim::data::Format>) {
             if (name == chosen) data.format = format;
           }
         },
         "data.format, if it is not image_folder")
      ->check(vim::tools::one_of(formats))
      ->type_name(vim::join(formats, "|"));
  sub.add_option("--train-shards", data.train_shards, "data.train_shards")->type_name("PATTERN");
  sub.add_option("--val-shards", data.val_shards, "data.val_shards")->type_name("PATTERN");
}

void add_check(CLI::App& app, bool& all_well) {
  auto* sub = app.add_subcommand("check", "Look for what is wrong with images");
  const auto command = std::make_shared<vim::data::CheckCommand>();
  sub->footer(
      "Finds broken, wrongly named and duplicate files, the same image in train and val or in two "
      "classes, look-alikes and mirrored ones, empty and tiny classes, grey, CMYK and rotated "
      "images, extreme sizes. An image folder may lack train/ and val/. Exit code 1 where it found "
      "something.");
  add_data_options(*sub, command->data, kImageFormats);
  sub->add_option("--json", command->json, "Write the findings to this file")->type_name("FILE");
  sub->add_option("--html", command->html, "Write a page with thumbnails")->type_name("FILE");
  vim::tools::add_workers_option(*sub, command->workers);
  sub->add_option("--min-per-class", command->min_per_class, "Fewer training images are too few")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub->callback([=, &all_well] { all_well = vim::data::check(*command); });
}

void add_stats(CLI::App& app) {
  auto* sub = app.add_subcommand("stats", "Means, deviations, sizes and images a class");
  const auto command = std::make_shared<vim::data::StatsCommand>();
  add_data_options(*sub, command->data, kImageFormats);
  vim::tools::add_workers_option(*sub, command->workers);
  sub->add_option("--json", command->json, "Write the figures to this file")->type_name("FILE");
  sub->callback([=] { vim::data::stats(*command); });
}

void add_pack(CLI::App& app) {
  auto* sub = app.add_subcommand("pack", "Put an image folder into one file a split, or shards");
  const auto command = std::make_shared<vim::data::PackCommand>();
  sub->footer(
      "Then train with data.format=packed data.root=OUT, or data.format=webdataset from shards.");
  sub->add_option("DIR", command->root, "Image folder: train/<class>/, val/<class>/")->required();
  sub->add_option("OUT", command->output, "Folder for train.vimpack and val.vimpack, or shards")
      ->required();
  auto* shards = sub->add_option("--shards", command->images_per_shard,
                                 "Write tar files of so many images (WebDataset)");
  shards->type_name("IMAGES")->check(vim::tools::positive());
  sub->add_option("--short-side", command->short_side, "Shrink larger images to this short side")
      ->check(vim::tools::positive());
  sub->add_flag("--exif-transpose", command->exif_transpose,
                "Turn photographs upright; else they are as data.exif_transpose says in training");
  sub->add_flag("--raw", command->raw, "Keep pixels: large, and nothing to decode in training")
      ->excludes(shards);
  sub->add_option("--quality", command->quality, "Of JPEGs that are written anew")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  vim::tools::add_workers_option(*sub, command->workers);
  sub->callback([=] { vim::data::pack(*command); });
}

void add_unpack(CLI::App& app) {
  auto* sub = app.add_subcommand("unpack", "Write the images of a packed file");
  const auto command = std::make_shared<vim::data::UnpackCommand>();
  sub->add_option("FILE", command->file, "Packed file")->required();
  sub->add_option("OUT", command->output, "Folder")->required();
  vim::tools::add_workers_option(*sub, command->workers);
  sub->callback([=] { vim::data::unpack(*command); });
}

void add_index(CLI::App& app) {
  auto* sub = app.add_subcommand("index", "List an image folder or tar shards once and for all");
  struct Options {
    vim::data::IndexCommand command;
    std::optional<std::string> output;
  };
  const auto options = std::make_shared<Options>();
  sub->footer(
      "Data are then opened from train.vimindex and val.vimindex, as long as folders and shards "
      "stay as they are.");
  add_data_options(*sub, options->command.data, {"image_folder", "webdataset"});
  sub->add_option("--output", options->output,
                  "Folder for the two files, then data.index (default: DIR)")
      ->type_name("FOLDER");
  sub->callback([=] {
    vim::data::IndexCommand command = options->command;
    command.output = options->output.value_or(command.data.root);
    vim::data::index(command);
  });
}

void add_list(CLI::App& app) {
  auto* sub =
      app.add_subcommand("list", "Name, class and size of every image of a packed file or a shard");
  const auto file = std::make_shared<std::string>();
  sub->add_option("FILE", *file, "Packed file, or tar file of images with labels")->required();
  sub->callback([=] { vim::data::list(*file); });
}

void add_bench(CLI::App& app) {
  auto* sub =
      app.add_subcommand("bench", "Images a second, stage by stage, on one core and on all");
  vim::tools::describe_data_bench(*sub);
}

int run(int argc, char** argv) {
  CLI::App app("Looks at images and data sets, and prepares them.", "vim-data");
  app.set_version_flag("--version", "vim-data " + vim::version());
  app.footer("Exit codes: 0 done, 1 failed, 2 wrong command line or configuration.");
  app.require_subcommand(1);
  add_apply(app);
  add_preview(app);
  bool all_well = true;
  add_check(app, all_well);
  add_stats(app);
  add_pack(app);
  add_unpack(app);
  add_index(app);
  add_list(app);
  add_bench(app);
  vim::watch_stop_signals();
  vim::tools::parse(app, argc, argv);
  return all_well ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  int code = 0;
  const int failure = vim::tools::guarded("vim-data", [&] { code = run(argc, argv); });
  return failure != 0 ? failure : code;
}
