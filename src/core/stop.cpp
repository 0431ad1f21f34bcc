#include "vim/core/stop.h"

#include <unistd.h>

#include <csignal>

namespace vim {
namespace {

volatile std::sig_atomic_t requested = 0;

extern "C" void request_stop(int signal) {
  if (requested != 0) _exit(128 + signal);
  requested = signal;
}

}  // namespace

void watch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int stop_requested() {
  return requested;
}

}  // namespace vim
