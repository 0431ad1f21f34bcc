#include "vim/core/random.h"

#include <cmath>
#include <numbers>

#include "vim/core/error.h"

namespace vim {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t low = uint64_t{0xD2511F53} * counter[0];
    const uint64_t high = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(high >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(high),
               static_cast<uint32_t>(low >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(low)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// The purpose and the epoch are mixed into the key by one Philox call; the sample index and the
// running block number are the counter.
RandomStream::RandomStream(uint64_t seed, Purpose purpose, uint64_t epoch, uint64_t index) {
  const auto mixed = philox({static_cast<uint32_t>(purpose), 0, static_cast<uint32_t>(epoch),
                             static_cast<uint32_t>(epoch >> 32)},
                            {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  key_ = {mixed[0], mixed[1]};
  counter_ = {0, 0, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)};
}

uint32_t RandomStream::operator()() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[used_++];
}

uint64_t RandomStream::bits() {
  const uint64_t high = (*this)();
  return high << 32 | (*this)();
}

double RandomStream::uniform() {
  return static_cast<double>(bits() >> 11) * 0x1p-53;
}

double RandomStream::uniform(double low, double high) {
  return low + (high - low) * uniform();
}

int64_t RandomStream::below(int64_t bound) {
  VIM_CHECK(bound >= 1);
  const uint64_t range = static_cast<uint64_t>(bound);
  const uint64_t unbiased = UINT64_MAX - UINT64_MAX % range;
  uint64_t drawn = bits();
  while (drawn >= unbiased) drawn = bits();
  return static_cast<int64_t>(drawn % range);
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace vim
