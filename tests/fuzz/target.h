// A fuzz target: one file defines `read`, which feeds any bytes to one reader of ours.
//
// The same targets run in two ways. Built with clang and the preset `fuzz`, libFuzzer looks for new
// paths, for minutes or days; in every other build, driver.cpp changes the seeds at random for a
// second, the same way every time, as a test.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "vim/core/error.h"

namespace vim::fuzz {

// Every outcome but a value or a vim::Error is a finding: another exception, a signal, memory
// misused, a failed check.
void read(std::string_view bytes);

// For readers that want files: writes `bytes` to a file of that name in a folder of this process.
// The folder lies in TMPDIR; /dev/shm is faster than a disk.
std::filesystem::path folder();
void write(const std::filesystem::path& path, std::string_view bytes);

// For files that sums or hashes guard, past which changed bytes rarely get: reads them as they are,
// and once more with sums that are right.
template <class Read, class Mend>
void read_and_mend(std::string_view bytes, const Read& read, const Mend& mend) {
  try {
    read(bytes);
  } catch (const Error&) {
  }
  read(mend(std::string(bytes)));
}

}  // namespace vim::fuzz
