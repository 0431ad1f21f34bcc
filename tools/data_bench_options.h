// The options of `vim-data bench`, which is also `vim-bench data`.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <thread>

#include "option_checks.h"
#include "vim/data/commands.h"

namespace vim::tools {

// Runs the benchmark when the subcommand was named.
inline void describe_data_bench(CLI::App& sub) {
  const auto command = std::make_shared<data::BenchCommand>();
  command->workers = std::max<int64_t>(1, std::thread::hardware_concurrency());
  sub.footer(
      "Reading, decoding, crop and resize, RandAugment and collation each by itself, then from "
      "file "
      "to batch. bench/data_timm.py measures timm on the same files.");
  sub.add_option("DIR", command->root,
                 "Folder with photographs; else those of Debian's packages scratch and "
                 "labelme-examples");
  sub.add_option("--workers", command->workers, "Threads")->check(CLI::Range(1, 1024));
  sub.add_option("--seconds", command->seconds, "Time for each figure")
      ->check(vim::tools::positive());
  sub.add_flag("--json", command->json, "As JSON");
  sub.callback([=] { data::bench(*command); });
}

}  // namespace vim::tools
