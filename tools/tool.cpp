#include "tool.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/dist/launch.h"
#include "vim/dist/spawn.h"

namespace vim::tools {
namespace {

// The help names an option's type; what its checks demand they say when they refuse.
void leave_out_checks(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    for (int i = 0;; ++i) {
      try {
        option->get_validator(i)->description("");
      } catch (const CLI::OptionNotFound&) {
        break;
      }
    }
  }
  for (CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    leave_out_checks(*sub);
  }
}

}  // namespace

bool parse(CLI::App& app, int argc, char** argv) {
  leave_out_checks(app);
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::Success& wish) {
    app.exit(wish);
    return false;
  }
}

void let_threads_sleep(char** argv) {
  constexpr const char* kPolicy = "OMP_WAIT_POLICY";
  if (std::getenv(kPolicy) != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  setenv(kPolicy, "passive", 1);
  execv("/proc/self/exe", argv);  // where this fails, the program only waits less well
}

int run_processes(int count, int argc, char** argv, bool name_output) {
  if (dist::detect_launch().size > 1) {
    throw UsageError(
        "--nproc: a launcher has started this process as one of several already; "
        "leave --nproc out");
  }
  std::vector<std::string> arguments;
  for (int i = 0; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--nproc") {
      ++i;
    } else if (!argument.starts_with("--nproc=")) {
      arguments.push_back(argument);
    }
  }
  return dist::run_local_ranks(count, arguments, name_output);
}

int guarded(const std::string& tool, const std::function<void()>& body) {
  try {
    body();
    return 0;
  } catch (const CLI::Error& problem) {
    std::cerr << tool << ": " << problem.what() << "\nTry '" << tool << " --help'.\n";
    return 2;
  } catch (const Error& problem) {
    log::clear_status();
    std::cerr << tool << ": " << problem.what() << "\n";
    return problem.exit_code();
  } catch (const std::bad_alloc&) {
    std::cerr << tool << ": out of memory; take a smaller data.batch_size or model\n";
    return 1;
  } catch (const std::exception& problem) {
    log::clear_status();
    const std::string text = problem.what();
    std::cerr << tool << ": " << text.substr(0, text.find('\n'))
              << "\n";  // LibTorch appends a stack trace
    return 1;
  }
}

}  // namespace vim::tools
