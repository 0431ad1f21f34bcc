// What an option's value must be, told in one sentence where it is not.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "vim/core/text.h"

namespace vim::tools {

// One of some names, each of which stands for a value of an enumeration.
template <class T>
void set_choices(CLI::Option* option, const std::vector<std::pair<std::string, T>>& choices) {
  std::string names;
  for (const auto& [name, value] : choices) names += (names.empty() ? "" : "|") + name;
  const auto replace_name = [=](std::string& text) -> std::string {
    for (const auto& [name, value] : choices) {
      if (text != name) continue;
      text = std::to_string(static_cast<int>(value));
      return "";
    }
    return "expected " + names + ", got '" + text + "'";
  };
  option->transform(CLI::Validator(replace_name, ""))->type_name(names);
}

// One of some names.
inline CLI::Validator one_of(const std::vector<std::string>& names) {
  return {[=](std::string& text) -> std::string {
            if (std::ranges::find(names, text) != names.end()) return "";
            return "expected " + join(names, "|") + ", got '" + text + "'";
          },
          ""};
}

// A number of processes, or auto.
inline CLI::Validator process_count() {
  return {[](std::string& text) -> std::string {
            if (text == "auto" || CLI::Range(1, 1024)(text).empty()) return "";
            return "expected auto or a whole number from 1 to 1024, got '" + text + "'";
          },
          ""};
}

// A number above zero.
inline CLI::Validator positive() {
  return {[](std::string& text) -> std::string {
            double number = 0;
            const char* const end = text.data() + text.size();
            const auto result = std::from_chars(text.data(), end, number);
            if (result.ec == std::errc() && result.ptr == end && number > 0) return "";
            return "expected a number above 0, got '" + text + "'";
          },
          ""};
}

}  // namespace vim::tools
