// YAML text to nodes. With yaml_reader.cpp, the only file that knows yaml-cpp.
#pragma once

#include <string_view>

#include "vim/config/node.h"
#include "vim/config/problems.h"

namespace vim::config {

// The document in `text`, which starts at `start`; places are counted where `start.line` is not 0.
// Duplicate keys, unset environment variables and errors of syntax are problems; the latter leave
// an empty node.
Node read_yaml(std::string_view text, const Place& start, Problems problems);

}  // namespace vim::config
