#pragma once

#include <string_view>

namespace vim::config {

// The position of the first byte that is no UTF-8 (RFC 3629) or a control character that YAML
// forbids, or npos. yaml-cpp replaces the former without a word, and ends at one of the latter.
size_t find_non_text(std::string_view text);

}  // namespace vim::config
