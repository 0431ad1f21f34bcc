#include "tool.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/dist/launch.h"
#include "vim/dist/spawn.h"

namespace vim::tools {
namespace {

// The help names an option's type; what its checks demand they say when they refuse. A positional
// argument's name says enough.
void shorten_help(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_positional() && option->get_type_name() == "TEXT") option->type_name("");
    for (int i = 0;; ++i) {
      try {
        option->get_validator(i)->description("");
      } catch (const CLI::OptionNotFound&) {
        break;
      }
    }
  }
  for (CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    shorten_help(*sub);
  }
}

std::string join_guess(const std::string& word, const std::vector<std::string>& names) {
  const std::string guess = nearest(word, names);
  return guess.empty() ? "" : "; did you mean '" + guess + "'?";
}

// CLI11 names what is left over in reverse order, and an unknown command not at all.
std::string text_of(const CLI::ParseError& problem, const CLI::App& app, const CLI::App& command) {
  const std::vector<std::string> left_over = app.remaining(/*recurse=*/true);
  if (left_over.empty()) return problem.what();
  const std::string& first = left_over.front();
  std::vector<std::string> names;
  if (dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr && &command == &app &&
      app.get_require_subcommand_min() > 0) {
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(sub->get_name());
    }
    return concat("there is no command '", first, "'", join_guess(first, names));
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&problem) == nullptr) return problem.what();
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  std::string help;
  if (first.starts_with("--")) {
    help = join_guess(first.substr(0, first.find('=')), names);
    if (help.empty() && command.get_option_no_throw("--set") != nullptr) {
      help = "; keys of the configuration are set with --set KEY=VALUE";
    }
  }
  return concat("unexpected argument '", first, "'", help);
}

}  // namespace

bool parse(CLI::App& app, int argc, char** argv) {
  shorten_help(app);
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::Success& wish) {
    app.exit(wish);
    return false;
  } catch (const CLI::ParseError& problem) {
    const std::vector<CLI::App*> subcommands = app.get_subcommands();
    const CLI::App& command = subcommands.empty() ? app : *subcommands.front();
    const std::string name = app.get_name() + (&command == &app ? "" : " " + command.get_name());
    throw UsageError(concat(text_of(problem, app, command), "\nTry '", name, " --help'."));
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
