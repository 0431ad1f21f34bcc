#include "vim/config/config.h"

#include <cstdlib>
#include <string>

#include "fuzz/target.h"
#include "vim/train/config.h"

namespace vim::fuzz {
namespace {

train::RunConfig load(const std::string& text) {
  return config::load_text<train::RunConfig>(text, "config.yaml", {});
}

// What was written must be readable.
train::RunConfig load_again(const std::string& text) noexcept {
  return load(text);
}

}  // namespace

void read(std::string_view bytes) {
  const std::string written = config::dump(load(std::string(bytes)));
  if (config::dump(load_again(written)) != written) std::abort();
}

}  // namespace vim::fuzz
