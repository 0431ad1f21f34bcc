#include "vim/core/error.h"

#include "vim/core/text.h"

namespace vim::detail {

void check_failed(const char* condition, const char* file, int line) {
  throw std::logic_error(
      concat(file, ":", line, ": internal error: ", condition, " does not hold"));
}

}  // namespace vim::detail
