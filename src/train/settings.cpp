#include "train/settings.h"

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

namespace vim::train {

std::map<std::string, std::string> settings_of(const std::string& text) {
  std::map<std::string, std::string> settings;
  std::vector<std::pair<size_t, std::string>> sections;  // indentation, path
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t indentation = std::min(line.find_first_not_of(' '), line.size());
    line.erase(0, indentation);
    while (!sections.empty() && sections.back().first >= indentation) sections.pop_back();
    const std::string section = sections.empty() ? "" : sections.back().second;
    const size_t colon = line.find(':');
    if (colon == std::string::npos && !section.empty()) {
      std::string& entries = settings[section];
      entries += (entries.empty() ? "" : " ") + line;
      continue;
    }
    const std::string path = (section.empty() ? "" : section + ".") + line.substr(0, colon);
    if (colon + 1 == line.size()) {
      sections.emplace_back(indentation, path);
    } else {
      settings[path] = colon == std::string::npos ? "" : line.substr(colon + 2);
    }
  }
  return settings;
}

}  // namespace vim::train
