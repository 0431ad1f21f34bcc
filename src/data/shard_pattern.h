// Names for many files at once.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vim::data {

// What the braces of a pattern stand for, as in a shell: `{000..146}` counts, with zeros in front
// where the first number has them, `{a,b}` lists. Throws Error where they do not fit together, or
// stand for more than a million.
std::vector<std::string> expand_braces(std::string_view pattern);

// The files below `root` that a pattern with braces, `*`, `?` and `[..]` names: paths from `root`
// on, each once, what one alternative of the braces names in the order of its bytes. Where they are
// required, an alternative that names nothing throws Error.
std::vector<std::string> find_shards(const std::filesystem::path& root, std::string_view pattern,
                                     bool required = true);

}  // namespace vim::data
