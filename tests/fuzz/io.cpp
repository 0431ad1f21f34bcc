// Changes tensor files at random and reads them: fuzz_io SECONDS FILE...
// Every outcome but tensors or a vim::Error ends it. Meant for the asan preset; the seed is
// printed.
#include <chrono>
#include <cstring>
#include <iostream>
#include <random>
#include <vector>

#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/io/tensor_file.h"

namespace {

using Random = std::mt19937_64;

size_t below(Random& random, size_t limit) {
  return random() % limit;
}

// Near the ends, where headers and directories are, as often as anywhere.
size_t place_in(Random& random, const std::string& text) {
  constexpr size_t kEdge = 4096;
  const size_t edge = std::min(kEdge, text.size());
  switch (below(random, 3)) {
    case 0:
      return below(random, edge);
    case 1:
      return text.size() - 1 - below(random, edge);
    default:
      return below(random, text.size());
  }
}

void change(Random& random, std::string& text) {
  if (text.empty()) return;
  const size_t place = place_in(random, text);
  const size_t length = std::min(below(random, 64) + 1, text.size() - place);
  switch (below(random, 6)) {
    case 0:
      text[place] = static_cast<char>(random());
      return;
    case 1:
      text[place] = static_cast<char>(text[place] ^ (1 << below(random, 8)));
      return;
    case 2: {  // a number that is often a limit
      static constexpr uint64_t kNumbers[] = {
          0, 1, ~0ull, 1ull << 31, 1ull << 32, 1ull << 62, 1ull << 63, 0x7fffffffffffffff};
      const uint64_t number = kNumbers[below(random, std::size(kNumbers))];
      std::memcpy(text.data() + place, &number, std::min<size_t>(8, text.size() - place));
      return;
    }
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

// Reads every byte that the tensors claim to have.
uint64_t touch(const vim::io::TensorFile& file) {
  uint64_t sum = 0;
  for (const auto& [name, tensor] : file.tensors) {
    if (tensor.numel() > (1 << 20)) continue;
    const at::Tensor whole = tensor.contiguous();
    const auto* bytes = static_cast<const unsigned char*>(whole.const_data_ptr());
    for (size_t i = 0; i < whole.nbytes(); ++i) sum += bytes[i];
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: fuzz_io SECONDS FILE...\n";
    return 2;
  }
  Random random(vim::test::fresh_seed());
  std::vector<std::string> corpus;
  for (int i = 2; i < argc; ++i) corpus.push_back(vim::read_file(argv[i]));
  const vim::test::ScratchFolder folder;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[1]));
  uint64_t reads = 0, refused = 0, sum = 0;
  while (std::chrono::steady_clock::now() < end) {
    std::string text = corpus[below(random, corpus.size())];
    for (size_t changes = 1 + below(random, 4); changes > 0; --changes) change(random, text);
    vim::FileWriter(folder / "x").write(text);
    ++reads;
    try {
      sum += touch(vim::io::read_tensors(folder / "x"));
    } catch (const vim::Error&) {
      ++refused;
    }
  }
  std::cout << reads << " files, " << refused << " refused, no finding (sum " << sum << ")\n";
}
