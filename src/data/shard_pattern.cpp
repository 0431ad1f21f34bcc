#include "data/shard_pattern.h"

#include <glob.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

constexpr size_t kMaxNames = 1'000'000;

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// `000..146`
std::optional<std::vector<std::string>> count(std::string_view inside) {
  const size_t dots = inside.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const auto first = whole_number(inside.substr(0, dots));
  const auto last = whole_number(inside.substr(dots + 2));
  if (!first || !last) return std::nullopt;
  if (std::abs(*last - *first) >= static_cast<int64_t>(kMaxNames)) {
    throw Error(concat("{", inside, "} stands for more than ", kMaxNames, " names"));
  }
  std::vector<std::string> numbers;
  const int64_t step = *first <= *last ? 1 : -1;
  for (int64_t i = *first; i != *last + step; i += step) {
    std::string digits = std::to_string(i);
    if (inside[0] == '0' && digits.size() < dots) digits.insert(0, dots - digits.size(), '0');
    numbers.push_back(digits);
  }
  return numbers;
}

// The brace that closes the one at `open`.
size_t closing(std::string_view pattern, size_t open) {
  int depth = 0;
  for (size_t i = open; i < pattern.size(); ++i) {
    if (pattern[i] == '{') ++depth;
    if (pattern[i] == '}' && --depth == 0) return i;
  }
  throw Error(concat("'", pattern, "' has a { without its }"));
}

// At the commas that are in no inner brace.
std::vector<std::string> alternatives(std::string_view inside) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : inside) {
    if (c == '{') ++depth;
    if (c == '}') --depth;
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::vector<std::string> glob_files(const std::string& pattern) {
  glob_t found = {};
  const std::unique_ptr<glob_t, void (*)(glob_t*)> guard(&found, ::globfree);
  const int code = ::glob(pattern.c_str(), 0, nullptr, &found);
  if (code == GLOB_NOSPACE) throw Error(concat(pattern, ": names too many files"));
  // What cannot be read is not found.
  return {found.gl_pathv, found.gl_pathv + found.gl_pathc};
}

}  // namespace

std::vector<std::string> expand_braces(std::string_view pattern) {
  const size_t open = pattern.find('{');
  if (open == std::string_view::npos) return {std::string(pattern)};
  const size_t close = closing(pattern, open);
  const std::string_view inside = pattern.substr(open + 1, close - open - 1);
  std::vector<std::string> middles;
  if (const auto numbers = count(inside)) {
    middles = *numbers;
  } else {
    for (const std::string& part : alternatives(inside)) {
      for (std::string& name : expand_braces(part)) middles.push_back(std::move(name));
    }
  }
  const std::vector<std::string> tails = expand_braces(pattern.substr(close + 1));
  if (middles.size() > kMaxNames / tails.size()) {
    throw Error(concat("'", pattern, "' stands for more than ", kMaxNames, " names"));
  }
  std::vector<std::string> names;
  for (const std::string& middle : middles) {
    for (const std::string& tail : tails) {
      names.push_back(concat(pattern.substr(0, open), middle, tail));
    }
  }
  return names;
}

std::vector<std::string> find_shards(const fs::path& root, std::string_view pattern,
                                     bool required) {
  std::vector<std::string> shards;
  std::set<std::string> seen;
  const std::string prefix = (root / "").string();
  for (const std::string& name : expand_braces(pattern)) {
    const std::vector<std::string> found = glob_files((root / name).string());
    if (found.empty() && required) {
      throw Error(concat((root / name).string(), ": there is no such shard"));
    }
    for (const std::string& path : found) {
      std::string below = path.starts_with(prefix) ? path.substr(prefix.size()) : path;
      if (seen.insert(below).second) shards.push_back(std::move(below));
    }
  }
  return shards;
}

}  // namespace vim::data
