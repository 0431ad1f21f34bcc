// What every tool's main shares: the one place where errors end.
#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace vim::tools {

// Parses the command line; false where it asked for --help or --version, which are printed here.
bool parse(CLI::App& app, int argc, char** argv);

// Makes OpenMP's threads sleep while they wait, by starting this process anew with
// OMP_WAIT_POLICY=passive unless the environment says something else: the library reads it when it
// is loaded. Spinning, its default, makes a step ten times slower where threads outnumber free
// cores (another job; the data loader's workers).
void let_threads_sleep(char** argv);

// Runs this command line, less its `--nproc`, in so many processes of this machine; the exit code.
// Throws UsageError where a launcher started this process as one of several. Standard output is
// forwarded with the rank before each line where `name_output` says so; standard error always is.
int run_processes(int count, int argc, char** argv, bool name_output = true);

// Runs `body`; prints an error as one message without a stack trace, and returns the exit code: 2
// for a wrong command line or configuration, 128 + signal for a stop request, 1 for anything else.
int guarded(const std::string& tool, const std::function<void()>& body);

}  // namespace vim::tools
