#include "support/support.h"

#include <cstdlib>
#include <iostream>
#include <random>

namespace fs = std::filesystem;

namespace vim::test {

uint64_t fresh_seed() {
  const char* fixed = std::getenv("VIM_TEST_SEED");
  const uint64_t seed =
      fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
  std::cout << "seed: VIM_TEST_SEED=" << seed << "\n";
  return seed;
}

ScratchFolder::ScratchFolder() {
  std::string name = (fs::temp_directory_path() / "vim_test_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr)
    throw std::runtime_error("cannot make a folder like " + name);
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path fixture(const std::string& name) {
  const char* folder = std::getenv("VIM_FIXTURES");
  return fs::path(folder != nullptr ? folder : VIM_FIXTURES_DEFAULT) / name;
}

}  // namespace vim::test
