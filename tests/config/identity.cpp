// Reading what was written gives the same config.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "config/sample.h"
#include "support/support.h"

using namespace sample;
using vim::config::dump;
using vim::config::load_text;

namespace {

const std::vector<std::string> kNasty = {"",
                                         " ",
                                         "yes",
                                         "No",
                                         "on",
                                         "true",
                                         "null",
                                         "~",
                                         "010",
                                         "1e-3",
                                         ".5",
                                         ".inf",
                                         "nan",
                                         "-",
                                         "---",
                                         "- a",
                                         "auto",
                                         "a: b",
                                         "#x",
                                         "a #b",
                                         "${HOME}",
                                         "$${x",
                                         "$$${x}",
                                         "$",
                                         "{a}",
                                         "[1, 2]",
                                         "a, b",
                                         "'",
                                         "\"",
                                         "\\",
                                         "\\n",
                                         "a\nb\n",
                                         "\r\n",
                                         "\t",
                                         "\x01\x04\x7f",
                                         "*a",
                                         "&a",
                                         "!x",
                                         "%x",
                                         "@x",
                                         "`",
                                         "|",
                                         ">",
                                         "? a",
                                         ":",
                                         "Größe",
                                         "日本語",
                                         "🐍",
                                         "\u0085",
                                         "\u2028",
                                         "\ufeff",
                                         "\u00a0",
                                         "./a/b",
                                         "../x",
                                         "/a b/c",
                                         "C:\\data",
                                         "trailing ",
                                         " leading",
                                         "a  b",
                                         "<<",
                                         "=",
                                         "...",
                                         "2001-01-01",
                                         "~/x",
                                         "0x10",
                                         "1_000",
                                         "12:30",
                                         std::string("nul\0byte", 8)};

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(engine_() % static_cast<uint64_t>(bound));
  }
  int64_t whole() { return below(1000) + 1; }
  // Any positive finite double.
  double number() {
    const uint64_t bits = engine_() >> 1;
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return std::isfinite(value) && value > 0 ? value : 0.5;
  }
  double share() { return std::uniform_real_distribution<double>(0, 0.999)(engine_); }
  std::string text() {
    if (below(2) == 0) return kNasty[below(std::ssize(kNasty))];
    std::string text;
    for (int64_t n = below(12); n > 0; --n) {
      text += below(3) == 0 ? kNasty[below(std::ssize(kNasty))] : std::string(1, ' ' + below(95));
    }
    return text;
  }
  Pool pool() { return static_cast<Pool>(below(3)); }
  Size size() { return {whole(), below(2) == 0 ? whole() : 224}; }
  Transform transform() {
    switch (below(3)) {
      case 0:
        return Flip{};
      case 1:
        return Pad{below(9), text()};
      default:
        return Crop{{0, share()}, size()};
    }
  }
  template <class Make>
  auto maybe(Make make) {
    return below(2) == 0 ? std::nullopt : std::optional(make());
  }
  template <class Make>
  auto list(Make make) {
    std::vector<decltype(make())> items;
    for (int64_t n = below(4); n > 0; --n) items.push_back(make());
    return items;
  }
  Config config() {
    Config c;
    c.root = "x" + text();
    c.device = maybe([&] { return text(); });
    c.clip = maybe([&] { return number(); });
    c.fast = maybe([&] { return below(2) == 0; });
    c.pool = maybe([&] { return pool(); });
    c.milestones =
        list([&] { return below(4) == 0 ? std::numeric_limits<int64_t>::max() : whole(); });
    c.classes = list([&] { return text(); });
    c.flags = list([&] { return below(2) == 0; });
    c.pools = list([&] { return pool(); });
    c.transforms = list([&] { return transform(); });
    c.model = {"m" + text(), size(),       whole(), maybe([&] { return whole(); }),
               pool(),       below(2) == 0};
    c.optim = {number(), 0, number(), {share(), share()}};
    return c;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace

TEST_CASE("A config that was written and read is the same config") {
  Random random(vim::test::fresh_seed());
  CHECK(load_text<Config>(dump(Config{}), "x") == Config{});
  for (int round = 0; round < 500; ++round) {
    const Config config = random.config();
    const std::string text = dump(config);
    INFO(text);
    REQUIRE(load_text<Config>(text, "x") == config);
    CHECK(dump(load_text<Config>(text, "x")) == text);
  }
}

TEST_CASE("Every nasty text survives by itself") {
  for (const std::string& text : kNasty) {
    Config config;
    config.device = text;
    config.classes = {text, text};
    config.transforms = {Pad{1, text}};
    INFO(dump(config));
    CHECK(load_text<Config>(dump(config), "x") == config);
  }
}

TEST_CASE("What is written looks as a person would write it") {
  Config config;
  config.classes = {"cat", "a: b", "yes", "./x/y.png"};
  config.clip = 1;
  config.optim.lr = 1e-30;
  config.model.image_size = {192, 256};
  config.transforms.push_back(Pad{});
  CHECK(dump(config) == R"(root: data
device: auto
clip: 1
fast: auto
pool: auto
milestones: [30, 60]
classes: [cat, "a: b", "yes", ./x/y.png]
flags: []
pools: []
transforms:
  - crop: {scale: [0.08, 1], to: 224}
  - flip
  - pad: {size: 4, colour: black}
model:
  name: vim
  image_size: [192, 256]
  depth: 24
  dt_rank: auto
  pool: mean
  rotary: false
optim:
  lr: 1e-30
  min_lr: 1e-5
  weight_decay: 0.05
  betas: [0.9, 0.999]
)");
}
