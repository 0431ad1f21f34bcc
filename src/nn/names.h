// Lists of names for messages.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "vim/core/text.h"

namespace vim::nn {

// A few of them, and how many more there are.
inline std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  std::string text = join(std::span(names).first(std::min(names.size(), kShown)), ", ");
  if (names.size() > kShown) text += concat(" and ", names.size() - kShown, " more");
  return text;
}

}  // namespace vim::nn
