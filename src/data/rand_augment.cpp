#include "data/rand_augment.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "vim/core/error.h"
#include "vim/core/random.h"
#include "vim/core/text.h"

namespace vim::data {
namespace {

using enum AugmentOp;
using Choices = std::vector<RandAugmentPolicy::Choice>;

constexpr double kUniform = 100;  // a deviation above stands for a uniform magnitude

Choices equal_chances(std::initializer_list<AugmentOp> ops) {
  Choices choices;
  for (const AugmentOp op : ops) choices.push_back({op, 1});
  return choices;
}

Choices standard() {
  return equal_chances({kAutoContrast, kEqualize, kInvert, kRotate, kPosterize, kSolarize,
                        kSolarizeAdd, kColor, kContrast, kBrightness, kSharpness, kShearX, kShearY,
                        kTranslateXRel, kTranslateYRel});
}

Choices increasing() {
  return equal_chances({kAutoContrast, kEqualize, kInvert, kRotate, kPosterizeIncreasing,
                        kSolarizeIncreasing, kSolarizeAdd, kColorIncreasing, kContrastIncreasing,
                        kBrightnessIncreasing, kSharpnessIncreasing, kShearX, kShearY,
                        kTranslateXRel, kTranslateYRel});
}

Choices weights_0() {
  return {{kRotate, 3},
          {kShearX, 2},
          {kShearY, 2},
          {kTranslateXRel, 1},
          {kTranslateYRel, 1},
          {kColorIncreasing, 0.25},
          {kSharpnessIncreasing, 0.25},
          {kAutoContrast, 0.25},
          {kSolarizeIncreasing, 0.05},
          {kSolarizeAdd, 0.05},
          {kContrastIncreasing, 0.05},
          {kBrightnessIncreasing, 0.05},
          {kEqualize, 0.05},
          {kPosterizeIncreasing, 0.05},
          {kInvert, 0.05}};
}

Choices weights_3a() {
  return {{kSolarizeIncreasing, 6},
          {kDesaturate, 6},
          {kGaussianBlur, 6},
          {kRotate, 3},
          {kShearX, 2},
          {kShearY, 2},
          {kPosterizeIncreasing, 1},
          {kAutoContrast, 1},
          {kColorIncreasing, 1},
          {kSharpnessIncreasing, 1},
          {kContrastIncreasing, 1},
          {kBrightnessIncreasing, 1},
          {kEqualize, 1},
          {kInvert, 1}};
}

double number(std::string_view section, std::string_view value) {
  double result = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || end != value.data() + value.size() || !(result >= 0)) {
    throw Error(concat("'", section, "' does not end with a number"));
  }
  return result;
}

int64_t whole(std::string_view section, double value) {
  if (value != std::floor(value) || value > 1000) {
    throw Error(concat("'", section, "' does not end with a small whole number"));
  }
  return static_cast<int64_t>(value);
}

void choose_set(RandAugmentPolicy& policy, std::string_view name) {
  policy.weighted = name == "weights" || name == "3aw";
  if (name == "weights") {
    policy.choices = weights_0();
  } else if (name == "3aw") {
    policy.choices = weights_3a();
  } else if (name == "3a") {
    policy.choices = equal_chances({kSolarizeIncreasing, kDesaturate, kGaussianBlur});
  } else {
    throw Error(concat("unknown set 't", name, "'; there are tweights, t3a and t3aw"));
  }
}

void read_section(RandAugmentPolicy& policy, std::string_view section, bool& increases) {
  if (section.starts_with('t')) return choose_set(policy, section.substr(1));
  const size_t digit = std::min(section.find_first_of("0123456789."), section.size());
  const std::string_view key = section.substr(0, digit);
  const double value = number(section, section.substr(digit));
  if (key == "m") {
    policy.magnitude = value;
  } else if (key == "n") {
    policy.count = whole(section, value);
  } else if (key == "mstd") {
    policy.deviation = value > kUniform ? std::numeric_limits<double>::infinity() : value;
  } else if (key == "mmax") {
    policy.largest = value;
  } else if (key == "p") {
    if (value > 1) throw Error(concat("'", section, "' is no probability"));
    policy.p = value;
  } else if (key == "inc") {
    increases = value != 0;
  } else {
    throw Error(
        concat("unknown section '", section, "'; there are m, n, mstd, mmax, inc, p and t"));
  }
}

}  // namespace

RandAugmentPolicy parse_rand_augment(std::string_view text) {
  RandAugmentPolicy policy;
  if (text != "rand" && !text.starts_with("rand-")) {
    throw Error("a policy is timm's, such as rand-m9-mstd0.5-inc1");
  }
  bool increases = false;
  size_t end = text.find('-');
  while (end != text.npos) {
    text.remove_prefix(end + 1);
    end = text.find('-');
    read_section(policy, text.substr(0, end), increases);
  }
  if (policy.choices.empty()) policy.choices = increases ? increasing() : standard();
  if (policy.weighted && policy.count > static_cast<int64_t>(policy.choices.size())) {
    throw Error(concat("n", policy.count, " is more than the ", policy.choices.size(),
                       " operations of the set, of which none is drawn twice"));
  }
  return policy;
}

std::vector<AugmentOp> RandAugmentPolicy::draw(RandomStream& random) const {
  std::vector<AugmentOp> ops;
  Choices left = choices;
  for (int64_t i = 0; i < count; ++i) {
    double total = 0;
    for (const Choice& choice : left) total += choice.weight;
    double at = random.uniform() * total;
    auto chosen = left.begin();
    while (at >= chosen->weight && chosen + 1 != left.end()) at -= (chosen++)->weight;
    ops.push_back(chosen->op);
    if (weighted) left.erase(chosen);
  }
  return ops;
}

double RandAugmentPolicy::draw_magnitude(RandomStream& random) const {
  double drawn = magnitude;
  if (std::isinf(deviation)) {
    drawn = random.uniform(0, magnitude);
  } else if (deviation > 0) {
    drawn += deviation * random.normal();
  }
  return std::clamp(drawn, 0.0, largest);
}

}  // namespace vim::data
