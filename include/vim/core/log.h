// The log for people, on standard error. Metrics are data and go to their own file
// (train/metrics.h).
#pragma once

#include <string_view>

namespace vim::log {

enum class Level { kDebug, kInfo, kWarning, kError };

void set_level(Level level);

void debug(std::string_view message);
void info(std::string_view message);
void warning(std::string_view message);
void error(std::string_view message);

// A status line that rewrites itself where standard error is a terminal, and is nothing elsewhere.
// A log message clears it. Safe to call from any thread, as all of this header.
void status(std::string_view line);
void clear_status();

}  // namespace vim::log
