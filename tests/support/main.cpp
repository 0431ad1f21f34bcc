#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <iostream>

#include "support/support.h"

namespace vim::test {
namespace {
bool skipped = false;
}

void report_skip(const std::string& reason) {
  skipped = true;
  SUCCEED("skipped: " + reason);
  std::cout << "skipped: " << reason << "\n";
}

}  // namespace vim::test

int main(int argc, char** argv) {
  const int failed = Catch::Session().run(argc, argv);
  return failed != 0 ? failed : vim::test::skipped ? 77 : 0;
}
