#include "vim/core/random.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "support/support.h"

using vim::Purpose;
using vim::RandomStream;

// The known answers of the Random123 distribution (kat_vectors, philox4x32 10).
TEST_CASE("Philox gives the published answers") {
  CHECK(vim::philox({0, 0, 0, 0}, {0, 0}) ==
        std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(vim::philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(vim::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("A stream is a function of seed, purpose, epoch and index, and of each of them") {
  const auto first = [](RandomStream stream) { return stream.bits(); };
  const uint64_t base = first({7, Purpose::kTransform, 3, 11});
  CHECK(first({7, Purpose::kTransform, 3, 11}) == base);
  CHECK(first({8, Purpose::kTransform, 3, 11}) != base);
  CHECK(first({7, Purpose::kModel, 3, 11}) != base);
  CHECK(first({7, Purpose::kTransform, 4, 11}) != base);
  CHECK(first({7, Purpose::kTransform, 3, 12}) != base);
}

TEST_CASE("Uniform, integer and normal numbers have the moments of their distributions") {
  const uint64_t seed = vim::test::fresh_seed();
  RandomStream stream(seed, Purpose::kInit);
  constexpr int kDraws = 200000;
  double sum = 0, normal_sum = 0, normal_squares = 0;
  std::vector<int> counts(7);
  for (int i = 0; i < kDraws; ++i) {
    const double u = stream.uniform();
    REQUIRE((u >= 0 && u < 1));
    sum += u;
    const double n = stream.normal();
    normal_sum += n;
    normal_squares += n * n;
    ++counts[stream.below(7)];
  }
  // Five standard errors each.
  const double root = std::sqrt(double{kDraws});
  CHECK(std::abs(sum / kDraws - 0.5) < 5 * std::sqrt(1 / 12.0) / root);
  CHECK(std::abs(normal_sum / kDraws) < 5 / root);
  CHECK(std::abs(normal_squares / kDraws - 1) < 5 * std::sqrt(2.0) / root);
  for (int count : counts) {
    CHECK(std::abs(count - kDraws / 7.0) < 5 * std::sqrt(kDraws * (1 / 7.0) * (6 / 7.0)));
  }
}
