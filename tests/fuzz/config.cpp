#include "vim/config/config.h"

#include <cstdlib>
#include <string>

#include "fuzz/target.h"
#include "vim/train/config.h"

namespace vim::fuzz {

void read(std::string_view bytes) {
  const auto config = config::load_text<train::RunConfig>(std::string(bytes), "config.yaml", {});
  const std::string written = config::dump(config);
  if (config::dump(config::load_text<train::RunConfig>(written, "config.yaml", {})) != written) {
    std::abort();  // load(dump(c)) == c
  }
}

}  // namespace vim::fuzz
