// A configuration as its settings, for saying what differs between two.
#pragma once

#include <map>
#include <string>

namespace vim::train {

// Of block-style YAML, as config::dump writes it: "optim.lr" -> "0.001", and the plain entries of a
// list together: "data.train_transforms" -> "- flip". Other texts stand under themselves.
std::map<std::string, std::string> settings_of(const std::string& text);

}  // namespace vim::train
