// vim-bench ddp: what several processes gain over one.
#pragma once

namespace CLI {
class App;
}

namespace vim::tools {

// Adds the subcommand, which runs when it was named. Processes are started with the command line.
void add_bench_ddp(CLI::App& app, int argc, char** argv);

}  // namespace vim::tools
