#include <cstdio>
#include <string>

#include "data/shard_scan.h"
#include "fuzz/target.h"

namespace vim::fuzz {
namespace {

constexpr size_t kBlock = 512, kSum = 148, kSumSize = 8, kMagic = 257;  // of a header

// A header is guarded by the sum of its bytes.
std::string with_good_sums(std::string bytes) {
  for (size_t at = 0; at + kBlock <= bytes.size(); at += kBlock) {
    if (bytes.compare(at + kMagic, 5, "ustar") != 0) continue;
    bytes.replace(at + kSum, kSumSize, kSumSize, ' ');
    unsigned sum = 0;
    for (size_t i = 0; i < kBlock; ++i) sum += static_cast<unsigned char>(bytes[at + i]);
    std::snprintf(bytes.data() + at + kSum, kSumSize, "%06o", sum);
  }
  return bytes;
}

void scan(std::string_view bytes) {
  write(folder() / "shard.tar", bytes);
  data::scan_shard(folder(), "shard.tar");
}

}  // namespace

void read(std::string_view bytes) {
  read_and_mend(bytes, scan, with_good_sums);
}

}  // namespace vim::fuzz
