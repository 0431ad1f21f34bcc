// Files that show the same.
#pragma once

#include <vector>

#include "data/tools/probe.h"

namespace vim::data {

// Groups of two or more positions, in order.
using Groups = std::vector<std::vector<size_t>>;

// Equal byte for byte, as far as a 64-bit hash tells.
Groups equal_files(const std::vector<FileFacts>& facts);

// Nearly the same picture, but not equal byte for byte: of equal files only the first takes part.
// Those that are so when one of them is mirrored are groups of their own, of which each picture has
// its look-alikes beside it.
struct LookAlikes {
  Groups as_they_are, mirrored;
};
LookAlikes look_alikes(const std::vector<FileFacts>& facts);

}  // namespace vim::data
