// What every test program shares: skipping, seeds, scratch folders, the fixtures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace vim::test {

// Says why this test case cannot run here; the program then ends with 77 unless a test failed.
void report_skip(const std::string& reason);

// Ends the test case as skipped.
#define VIM_SKIP(reason)              \
  do {                                \
    ::vim::test::report_skip(reason); \
    return;                           \
  } while (false)

// A seed for a random test: VIM_TEST_SEED or a new one each run; it is printed, so that a failure
// can be repeated.
uint64_t fresh_seed();

// A new empty folder, removed at the end of the scope.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// The tensors and images written by the official Python code: VIM_FIXTURES, or ../shared/fixtures
// beside the source tree. `exists(fixture("base.safetensors"))` says whether they are here.
std::filesystem::path fixture(const std::string& name);

}  // namespace vim::test
