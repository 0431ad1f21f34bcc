// What the readers of a config note down.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vim/config/node.h"

namespace vim::config {

struct Problem {
  Place place;
  std::string path;
  std::string sentence;
};

struct Journal {
  std::vector<Problem> problems;
  std::map<std::string, Place> origins;  // path -> where its value was set
  int sources = 0;                       // read so far
};

// A line each, by source, line and column; problems of defaults come last.
std::string report(std::vector<Problem> problems);

// "optim", "lr" -> "optim.lr"
std::string join_path(std::string_view parent, std::string_view key);

}  // namespace vim::config
