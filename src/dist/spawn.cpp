#include "vim/dist/spawn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"

namespace vim::dist {
namespace {

constexpr auto kGrace = std::chrono::seconds(8);  // longer than ranks take to agree on the cause

[[noreturn]] void fail(const char* what) {
  throw Error(concat("--nproc: ", what, ": ", std::strerror(errno)));
}

// A socket at a free port of this machine's own address. Rank 0 inherits it listening, so that no
// other program can take the port in between.
struct Listener {
  int socket;
  uint16_t port;
};

Listener listen_locally() {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (descriptor < 0 || bind(descriptor, generic, size) != 0 || listen(descriptor, 2048) != 0 ||
      getsockname(descriptor, generic, &size) != 0) {
    fail("cannot listen at 127.0.0.1");
  }
  return {descriptor, ntohs(address.sin_port)};
}

// Forwards the whole lines that come through a pipe.
class Lines {
 public:
  Lines(int source, int target, std::string prefix)
      : source_(source), target_(target), prefix_(std::move(prefix)) {}

  int source() const { return source_; }
  bool is_open() const { return source_ >= 0; }

  void forward() {
    char buffer[1 << 16];
    const ssize_t size = read(source_, buffer, sizeof(buffer));
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size > 0) pending_.append(buffer, size);
    for (size_t end; (end = pending_.find('\n')) != std::string::npos;) {
      write_line(pending_.substr(0, end + 1));
      pending_.erase(0, end + 1);
    }
    if (size > 0) return;
    if (!pending_.empty()) write_line(std::exchange(pending_, "") + "\n");
    close(std::exchange(source_, -1));
  }

 private:
  // In one write, so that it stays whole among those of others.
  void write_line(const std::string& line) const {
    const std::string text = prefix_ + line;
    if (write(target_, text.data(), text.size()) < 0) return;  // nobody reads any more
  }

  int source_, target_;
  std::string prefix_, pending_;
};

// What is in the pipe of a process that has ended; a grandchild may keep it open.
void drain(Lines& lines) {
  fcntl(lines.source(), F_SETFL, O_NONBLOCK);
  while (lines.is_open()) {
    pollfd source = {lines.source(), POLLIN, 0};
    if (poll(&source, 1, 0) <= 0) break;
    lines.forward();
  }
}

struct Rank {
  pid_t pid;
  std::optional<int> status;  // as waitpid tells it, once it has ended
  bool is_stopped = false;    // by a signal, and then it will not end by itself
};

class LocalRanks {
 public:
  LocalRanks(int count, const std::vector<std::string>& arguments, bool name_output);
  int run();

 private:
  void start(int rank, const std::vector<std::string>& arguments, const Listener& listener);
  [[noreturn]] void become_rank(int rank, const std::vector<std::string>& arguments,
                                const Listener& listener, int out, int err);
  void handle_signals();
  void send(int signal);
  void collect();
  void note_end(int rank, int status);
  bool has_running() const;
  bool all_are_stopped() const;

  sigset_t signals_, original_;
  int signal_source_;
  pid_t parent_ = getpid();
  int count_;
  bool name_output_;
  std::vector<Rank> ranks_;
  std::vector<Lines> lines_;
  int passed_signal_ = 0;
  int exit_code_ = 0;
  std::optional<std::chrono::steady_clock::time_point> kill_at_;
};

LocalRanks::LocalRanks(int count, const std::vector<std::string>& arguments, bool name_output)
    : count_(count), name_output_(name_output) {
  sigemptyset(&signals_);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, signal);
  sigprocmask(SIG_BLOCK, &signals_, &original_);
  signal_source_ = signalfd(-1, &signals_, SFD_NONBLOCK | SFD_CLOEXEC);
  if (signal_source_ < 0) fail("cannot receive signals");
  std::signal(SIGPIPE, SIG_IGN);
  const Listener listener = listen_locally();
  for (int rank = 0; rank < count; ++rank) start(rank, arguments, listener);
  close(listener.socket);
}

void LocalRanks::start(int rank, const std::vector<std::string>& arguments,
                       const Listener& listener) {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) fail("cannot make a pipe");
  const pid_t pid = fork();
  if (pid < 0) fail("cannot start a process");
  if (pid == 0) become_rank(rank, arguments, listener, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  const std::string prefix = concat("[", rank, "] ");
  lines_.emplace_back(out[0], STDOUT_FILENO, name_output_ ? prefix : "");
  lines_.emplace_back(err[0], STDERR_FILENO, prefix);
  ranks_.push_back({.pid = pid, .status = {}});
}

void LocalRanks::become_rank(int rank, const std::vector<std::string>& arguments,
                             const Listener& listener, int out, int err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent_) _exit(1);
  setpgid(0, 0);  // the terminal's Ctrl-C reaches this process once, through the parent
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  const auto set = [](const char* name, const std::string& value) {
    setenv(name, value.c_str(), /*overwrite=*/1);
  };
  set("RANK", std::to_string(rank));
  set("LOCAL_RANK", std::to_string(rank));
  set("WORLD_SIZE", std::to_string(count_));
  set("LOCAL_WORLD_SIZE", std::to_string(count_));
  set("MASTER_ADDR", "127.0.0.1");
  set("MASTER_PORT", std::to_string(listener.port));
  set("VIM_LISTENER", std::to_string(listener.socket));
  unsetenv("TORCHELASTIC_USE_AGENT_STORE");
  if (rank == 0) fcntl(listener.socket, F_SETFD, 0);
  std::vector<char*> values;
  for (const std::string& argument : arguments)
    values.push_back(const_cast<char*>(argument.c_str()));
  values.push_back(nullptr);
  sigprocmask(SIG_SETMASK, &original_, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  execv("/proc/self/exe", values.data());
  _exit(127);
}

int LocalRanks::run() {
  while (has_running()) {
    std::vector<pollfd> sources = {{signal_source_, POLLIN, 0}};
    for (const Lines& lines : lines_) sources.push_back({lines.source(), POLLIN, 0});  // -1: none
    poll(sources.data(), sources.size(), /*milliseconds=*/kill_at_ ? 200 : -1);
    for (size_t i = 0; i < lines_.size(); ++i) {
      if (lines_[i].is_open() && sources[i + 1].revents != 0) lines_[i].forward();
    }
    handle_signals();
    collect();
    if (kill_at_ && (std::chrono::steady_clock::now() > *kill_at_ || all_are_stopped())) {
      send(SIGKILL);
    }
  }
  return exit_code_;
}

bool LocalRanks::has_running() const {
  for (const Rank& rank : ranks_) {
    if (!rank.status) return true;
  }
  return false;
}

// Of those that are left.
bool LocalRanks::all_are_stopped() const {
  return std::ranges::all_of(
      ranks_, [](const Rank& rank) { return rank.status.has_value() || rank.is_stopped; });
}

void LocalRanks::handle_signals() {
  signalfd_siginfo info;
  while (read(signal_source_, &info, sizeof(info)) == sizeof(info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) continue;
    passed_signal_ = signal == SIGHUP ? SIGTERM : signal;
    send(passed_signal_);
  }
}

void LocalRanks::send(int signal) {
  for (const Rank& rank : ranks_) {
    if (!rank.status) kill(rank.pid, signal);
  }
}

void LocalRanks::collect() {
  for (size_t i = 0; i < ranks_.size(); ++i) {
    Rank& rank = ranks_[i];
    int status = 0;
    while (!rank.status &&
           waitpid(rank.pid, &status, WNOHANG | WUNTRACED | WCONTINUED) == rank.pid) {
      rank.is_stopped = WIFSTOPPED(status);
      if (WIFSTOPPED(status) || WIFCONTINUED(status)) continue;
      drain(lines_[2 * i]);
      drain(lines_[2 * i + 1]);
      rank.status = status;
      note_end(static_cast<int>(i), status);
    }
  }
}

void LocalRanks::note_end(int rank, int status) {
  const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (code == 0 || exit_code_ != 0) return;
  exit_code_ = code;
  kill_at_ = std::chrono::steady_clock::now() + kGrace;
  if (passed_signal_ != 0 && code == 128 + passed_signal_) return;
  log::error(WIFSIGNALED(status)
                 ? concat("rank ", rank, " was killed by signal ", WTERMSIG(status), " (",
                          strsignal(WTERMSIG(status)), "); the job ends")
                 : concat("rank ", rank, " ended with exit code ", code, "; the job ends"));
}

}  // namespace

int run_local_ranks(int count, const std::vector<std::string>& arguments, bool name_output) {
  return LocalRanks(count, arguments, name_output).run();
}

}  // namespace vim::dist
