#pragma once

#include <string>

namespace vim::config {

// Replaces ${NAME} and ${NAME:-default} by the environment, $${ by ${. Returns what is wrong, or
// "".
std::string expand_environment(std::string& text);

}  // namespace vim::config
