// Errors that a person can cause: the caller of a tool, or the world around it.
#pragma once

#include <stdexcept>
#include <string>

namespace vim {

// One sentence that names the place and the way out. Only `main` catches it; it ends the program
// with `exit_code()`. Mistakes of a programmer are VIM_CHECK's.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  virtual int exit_code() const { return 1; }
};

// A command line or configuration that cannot be used.
class UsageError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 2; }
};

// A training run asked to stop by SIGINT or SIGTERM, after it saved its state.
class Stopped : public Error {
 public:
  Stopped(const std::string& what, int signal) : Error(what), signal_(signal) {}
  int exit_code() const override { return 128 + signal_; }

 private:
  int signal_;
};

namespace detail {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

}  // namespace vim

// A condition that holds unless this program is wrong.
#define VIM_CHECK(condition) \
  ((condition) ? void() : ::vim::detail::check_failed(#condition, __FILE__, __LINE__))
