// In place of libFuzzer: fuzz_x ROUNDS FOLDER reads each seed as it is, and then in ROUNDS changed
// forms, the same ones every time.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "vim/core/file.h"
#include "vim/core/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

size_t below(vim::RandomStream& random, size_t limit) {
  return static_cast<size_t>(random.below(static_cast<int64_t>(limit)));
}

// Near the ends, where headers and directories are, as often as anywhere.
size_t place_in(vim::RandomStream& random, const std::string& text) {
  const size_t edge = std::min<size_t>(64, text.size());
  switch (below(random, 3)) {
    case 0:
      return below(random, edge);
    case 1:
      return text.size() - 1 - below(random, edge);
    default:
      return below(random, text.size());
  }
}

// Of either byte order and any width.
void put_number(vim::RandomStream& random, std::string& text, size_t place) {
  static constexpr uint64_t kNumbers[] = {0,          1,          0x7fff,    0xffff,
                                          1ULL << 31, 1ULL << 32, ~0ULL / 2, ~0ULL};
  const uint64_t number = kNumbers[below(random, std::size(kNumbers))];
  const size_t width = std::min(size_t{1} << below(random, 4), text.size() - place);
  const bool big_endian = below(random, 2) == 1;
  for (size_t i = 0; i < width; ++i) {
    text[place + i] = static_cast<char>(number >> 8 * (big_endian ? width - 1 - i : i));
  }
}

void change(vim::RandomStream& random, std::string& text) {
  if (text.empty()) return;
  const size_t place = place_in(random, text);
  const size_t length = std::min(below(random, 64) + 1, text.size() - place);
  switch (below(random, 6)) {
    case 0:
      text[place] = static_cast<char>(below(random, 256));
      return;
    case 1:
      text[place] = static_cast<char>(text[place] ^ (1 << below(random, 8)));
      return;
    case 2:
      return put_number(random, text, place);
    case 3:
      text.erase(place, length);
      return;
    case 4:
      text.insert(place, text.substr(place_in(random, text), length));
      return;
    default:
      text.resize(place);
  }
}

void feed(const std::string& bytes) {
  // Of just that size, so that a sanitizer sees a read beyond it.
  const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " ROUNDS FOLDER\n";
    return 2;
  }
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[2])) {
    paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  if (paths.empty()) {
    std::cerr << argv[2] << ": holds no seed\n";
    return 1;
  }
  for (size_t s = 0; s < paths.size(); ++s) {
    const std::string seed = vim::read_file(paths[s]);
    feed(seed);
    for (int64_t round = 0; round < std::atoll(argv[1]); ++round) {
      vim::RandomStream random(s, vim::Purpose::kInit, 0, static_cast<uint64_t>(round));
      std::string bytes = seed;
      for (size_t changes = 1 + below(random, 4); changes > 0; --changes) change(random, bytes);
      feed(bytes);
    }
  }
}
