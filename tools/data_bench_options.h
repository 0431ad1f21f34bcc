// The options of `vim-data bench`, which is also `vim-bench data`.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <thread>

#include "option_checks.h"
#include "vim/data/commands.h"

namespace vim::tools {

// Threads of a command; all that the machine has unless told.
inline void add_workers_option(CLI::App& app, int64_t& workers) {
  workers = std::max<int64_t>(1, std::thread::hardware_concurrency());
  app.add_option("--workers", workers, "Threads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

// Runs the benchmark when the subcommand was named.
inline void describe_data_bench(CLI::App& sub) {
  const auto command = std::make_shared<data::BenchCommand>();
  sub.footer(
      "Reading, decoding, crop and resize, RandAugment and collation each by itself, then from "
      "file\n"
      "to batch. bench/data_timm.py measures timm on the same files.");
  sub.add_option("DIR", command->root,
                 "Folder with photographs; else those of Debian's packages scratch and "
                 "labelme-examples");
  add_workers_option(sub, command->workers);
  sub.add_option("--seconds", command->seconds, "Time for each figure")
      ->check(positive())
      ->capture_default_str();
  sub.add_option("--json", command->json, "Write the figures to this file")->type_name("FILE");
  sub.callback([=] { data::bench(*command); });
}

}  // namespace vim::tools
