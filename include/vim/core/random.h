// Random numbers that depend on nothing but what they are for.
#pragma once

#include <array>
#include <cstdint>

namespace vim {

// What a random stream is used for, so that two uses never share numbers. Values are part of the
// checkpoint's promise of equal resumption: append, never reorder.
enum class Purpose : uint32_t { kInit = 1, kSampleOrder = 2, kTransform = 3, kModel = 4, kMix = 5, kNoise = 6 };

// A counter-based stream (Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011). Its numbers are a pure function of (seed, purpose, epoch, index): no state is
// saved, none is shared, and the number of threads or workers has no say. Satisfies
// UniformRandomBitGenerator.
class RandomStream {
 public:
  using result_type = uint32_t;

  RandomStream(uint64_t seed, Purpose purpose, uint64_t epoch = 0, uint64_t index = 0);

  uint32_t operator()();
  static constexpr uint32_t min() { return 0; }
  static constexpr uint32_t max() { return 0xffffffffu; }

  uint64_t bits();                          // 64 random bits
  double uniform();                         // [0, 1), 53 bits
  double uniform(double low, double high);  // [low, high)
  int64_t below(int64_t bound);             // 0 .. bound - 1 without bias; bound >= 1
  double normal();                          // mean 0, standard deviation 1

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

// Philox4x32-10 itself: the block of random numbers that belongs to (counter, key).
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

}  // namespace vim
