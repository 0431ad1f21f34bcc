// Text for people: composing sentences, counts, durations, and guessing at misspelt names.
#pragma once

#include <span>
#include <sstream>
#include <string>
#include <string_view>

namespace vim {

// The parts, one after another, as `<<` writes them.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

std::string join(std::span<const std::string> parts, std::string_view separator);

// The candidate nearest to `word` by edit distance, or "" where none is near enough to be a slip.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

std::string with_separators(long long count);  // 7148008 -> "7,148,008"
std::string as_bytes(double bytes);            // 1536 -> "1.5 KiB"
std::string as_duration(double seconds);       // 3725 -> "1:02:05", 65 -> "1:05"
std::string fixed(double value, int digits);   // (0.12345, 2) -> "0.12"

}  // namespace vim
