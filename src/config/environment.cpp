#include "environment.h"

#include <cstdlib>
#include <string_view>

#include "vim/core/text.h"

namespace vim::config {
namespace {

bool is_name(std::string_view text) {
  static constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  return !text.empty() && kLetters.find(text[0]) != std::string_view::npos &&
         text.find_first_not_of(std::string(kLetters) + "0123456789") == std::string_view::npos;
}

}  // namespace

std::string expand_environment(std::string& text) {
  std::string expanded;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = std::string_view(text).substr(i);
    if (rest.starts_with("$${")) {
      expanded += "${";
      i += 3;
    } else if (!rest.starts_with("${")) {
      expanded += text[i++];
    } else {
      const size_t end = rest.find('}');
      if (end == std::string_view::npos) return "'${' without '}'; write $${ for the characters ${";
      const std::string_view inside = rest.substr(2, end - 2);
      const size_t dash = inside.find(":-");
      const std::string name(inside.substr(0, dash));
      if (!is_name(name)) {
        return concat("'", name,
                      "' cannot be an environment variable; write $${ for the characters ${");
      }
      const char* value = std::getenv(name.c_str());
      const bool has_default = dash != std::string_view::npos;
      if (value == nullptr && !has_default) {
        return concat("the environment variable ", name, " is not set; set it, or write ${", name,
                      ":-default}");
      }
      // As in a shell, `:-` also replaces an empty value.
      const bool use_default = has_default && (value == nullptr || *value == '\0');
      expanded += use_default ? inside.substr(dash + 2) : std::string_view(value);
      i += end + 1;
    }
  }
  text = std::move(expanded);
  return {};
}

}  // namespace vim::config
