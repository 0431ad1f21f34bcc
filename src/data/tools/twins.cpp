#include "data/tools/twins.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace vim::data {
namespace {

// Of the 128 bits of a hash.
constexpr int kNear = 7;
// Two hashes that differ in 7 bits agree in one of 8 bands.
constexpr int kBands = kNear + 1, kBandBits = 128 / kBands;

class Sets {
 public:
  explicit Sets(size_t count) : parents_(count) { std::iota(parents_.begin(), parents_.end(), 0); }
  size_t find(size_t i) {
    while (parents_[i] != i) i = parents_[i] = parents_[parents_[i]];
    return i;
  }
  void unite(size_t a, size_t b) {
    parents_[std::max(find(a), find(b))] = std::min(find(a), find(b));
  }

 private:
  std::vector<size_t> parents_;
};

uint16_t band_of(const LookHash& hash, int band) {
  const int bit = band * kBandBits;
  return static_cast<uint16_t>(hash.bits[bit / 64] >> (bit % 64));
}

Groups several(std::map<size_t, std::vector<size_t>> groups) {
  Groups result;
  for (auto& [key, group] : groups) {
    if (group.size() > 1) result.push_back(std::move(group));
  }
  return result;
}

}  // namespace

Groups equal_files(const std::vector<FileFacts>& facts) {
  std::unordered_map<uint64_t, size_t> first;
  std::map<size_t, std::vector<size_t>> groups;
  for (size_t i = 0; i < facts.size(); ++i) {
    if (!facts[i].error.empty()) continue;
    groups[first.try_emplace(facts[i].bytes_hash, i).first->second].push_back(i);
  }
  return several(std::move(groups));
}

Groups look_alikes(const std::vector<FileFacts>& facts) {
  std::vector<size_t> shown;
  std::unordered_set<uint64_t> seen;
  for (size_t i = 0; i < facts.size(); ++i) {
    const FileFacts& f = facts[i];
    if (f.error.empty() && !f.look.flat && seen.insert(f.bytes_hash).second) shown.push_back(i);
  }
  Sets sets(facts.size());
  for (int band = 0; band < kBands; ++band) {
    const auto key = [&](size_t i) { return band_of(facts[i].look, band); };
    std::ranges::sort(shown, {}, [&](size_t i) { return std::pair(key(i), i); });
    for (size_t a = 0; a < shown.size(); ++a) {
      for (size_t b = a + 1; b < shown.size() && key(shown[b]) == key(shown[a]); ++b) {
        if (distance(facts[shown[a]].look, facts[shown[b]].look) <= kNear) {
          sets.unite(shown[a], shown[b]);
        }
      }
    }
  }
  std::ranges::sort(shown);
  std::map<size_t, std::vector<size_t>> groups;
  for (const size_t i : shown) groups[sets.find(i)].push_back(i);
  return several(std::move(groups));
}

}  // namespace vim::data
