// spdlog stays in this file: LibTorch ships another fmt, so no file may see both.
#include "vim/core/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>

namespace vim::log {
namespace {

std::mutex status_mutex;
std::string status_line;  // what stands on the terminal's last line now

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto created = spdlog::stderr_color_mt("vim");
    created->set_pattern("%H:%M:%S %^%L%$ %v");
    created->flush_on(spdlog::level::trace);
    return created;
  }();
  return *instance;
}

// With status_mutex held.
void erase_status() {
  if (!status_line.empty()) std::fputs("\r\x1b[K", stderr);
  status_line.clear();
}

void write_message(spdlog::level::level_enum level, std::string_view message) {
  if (!logger().should_log(level)) return;
  const std::lock_guard lock(status_mutex);
  erase_status();
  logger().log(level, spdlog::string_view_t(message.data(), message.size()));
}

size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

void set_level(Level level) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err};
  logger().set_level(kLevels[static_cast<int>(level)]);
}

void debug(std::string_view message) {
  write_message(spdlog::level::debug, message);
}
void info(std::string_view message) {
  write_message(spdlog::level::info, message);
}
void warning(std::string_view message) {
  write_message(spdlog::level::warn, message);
}
void error(std::string_view message) {
  write_message(spdlog::level::err, message);
}

void clear_status() {
  const std::lock_guard lock(status_mutex);
  erase_status();
}

void status(std::string_view line) {
  static const bool is_terminal = isatty(STDERR_FILENO) == 1;
  if (!is_terminal) return;
  const std::lock_guard lock(status_mutex);
  status_line = line.substr(0, terminal_width() - 1);
  std::fprintf(stderr, "\r%s\x1b[K", status_line.c_str());
  std::fflush(stderr);
}

}  // namespace vim::log
