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

Groups several(std::map<size_t, std::vector<size_t>> groups) {
  Groups result;
  for (auto& [key, group] : groups) {
    if (group.size() > 1) result.push_back(std::move(group));
  }
  return result;
}

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
  Groups groups_of(const std::vector<size_t>& members) {
    std::map<size_t, std::vector<size_t>> groups;
    for (const size_t i : members) groups[find(i)].push_back(i);
    return several(std::move(groups));
  }

 private:
  std::vector<size_t> parents_;
};

// A file, as it is or mirrored.
struct Picture {
  size_t file;
  const LookHash* look;
  bool mirrored;
};

uint16_t band_of(const LookHash& hash, int band) {
  const int bit = band * kBandBits;
  return static_cast<uint16_t>(hash.bits[bit / 64] >> (bit % 64));
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

LookAlikes look_alikes(const std::vector<FileFacts>& facts) {
  std::vector<size_t> shown;
  std::vector<Picture> pictures;
  std::unordered_set<uint64_t> seen;
  for (size_t i = 0; i < facts.size(); ++i) {
    const FileFacts& f = facts[i];
    if (!f.error.empty() || f.looks.as_is.flat || !seen.insert(f.bytes_hash).second) continue;
    shown.push_back(i);
    pictures.push_back({i, &f.looks.as_is, false});
    pictures.push_back({i, &f.looks.mirrored, true});
  }
  Sets same(facts.size());
  std::vector<std::pair<size_t, size_t>> mirrored;
  const auto compare = [&](const Picture& a, const Picture& b) {
    if ((a.mirrored && b.mirrored) || distance(*a.look, *b.look) > kNear) return;
    if (a.mirrored == b.mirrored) {
      same.unite(a.file, b.file);
    } else {
      mirrored.emplace_back(a.file, b.file);
    }
  };
  for (int band = 0; band < kBands; ++band) {
    const auto key = [&](const Picture& p) { return band_of(*p.look, band); };
    std::ranges::sort(pictures, {}, [&](const Picture& p) { return std::pair(key(p), p.file); });
    for (size_t a = 0; a < pictures.size(); ++a) {
      for (size_t b = a + 1; b < pictures.size() && key(pictures[b]) == key(pictures[a]); ++b) {
        compare(pictures[a], pictures[b]);
      }
    }
  }
  LookAlikes found = {same.groups_of(shown), {}};
  // A picture that is its own mirror image joins nothing.
  std::erase_if(mirrored,
                [&](const auto& pair) { return same.find(pair.first) == same.find(pair.second); });
  std::vector<char> joined(facts.size(), 0);  // by the first of its look-alikes
  for (const auto& [a, b] : mirrored) joined[same.find(a)] = joined[same.find(b)] = 1;
  std::erase_if(shown, [&](size_t i) { return joined[same.find(i)] == 0; });
  for (const auto& [a, b] : mirrored) same.unite(a, b);
  found.mirrored = same.groups_of(shown);
  return found;
}

}  // namespace vim::data
