// What a person reads who made a mistake.
#include <catch2/catch.hpp>

#include "config/sample.h"
#include "vim/core/error.h"

using namespace sample;
using vim::config::load_text;

namespace {

std::string message(const std::string& text, const std::vector<std::string>& assignments = {}) {
  try {
    load_text<Config>(text, "x.yaml", assignments);
  } catch (const vim::UsageError& error) {
    return error.what();
  }
  return "no error";
}

struct Case {
  std::string text, message;
};

}  // namespace

TEST_CASE("A value of the wrong kind is located and shown") {
  const std::vector<Case> cases = {
      {"optim:\n  lr: fast", "x.yaml:2:7: optim.lr: expected a number, got 'fast'"},
      {"optim: {lr: }", "x.yaml:1:9: optim.lr: expected a number, got nothing"},
      {"optim: {lr: '1'}", "x.yaml:1:13: optim.lr: expected a number, got the quoted text '1'"},
      {"optim: {lr: 1e999}", "x.yaml:1:13: optim.lr: expected a number, got '1e999'"},
      {"optim: {lr: inf}", "x.yaml:1:13: optim.lr: expected a number, got 'inf'"},
      {"optim: {lr: .nan}", "x.yaml:1:13: optim.lr: expected a number, got '.nan'"},
      {"optim: {lr: 0x10}", "x.yaml:1:13: optim.lr: expected a number, got '0x10'"},
      {"optim: {lr: 1_0}", "x.yaml:1:13: optim.lr: expected a number, got '1_0'"},
      {"optim: {lr: +-1}", "x.yaml:1:13: optim.lr: expected a number, got '+-1'"},
      {"optim: {lr: 1 2}", "x.yaml:1:13: optim.lr: expected a number, got '1 2'"},
      {"optim: {lr: [1]}", "x.yaml:1:13: optim.lr: expected a number, got a list"},
      {"optim: 3", "x.yaml:1:8: optim: expected a map of keys, got '3'"},
      {"model: {depth: 010}",
       "x.yaml:1:16: model.depth: expected a whole number, got '010' (a number has no leading "
       "zeros)"},
      {"model: {depth: 1.5}", "x.yaml:1:16: model.depth: expected a whole number, got '1.5'"},
      {"model: {depth: 99999999999999999999}",
       "x.yaml:1:16: model.depth: expected a whole number, got '99999999999999999999' (beyond 64 "
       "bits)"},
      {"model: {dt_rank: 'auto'}",
       "x.yaml:1:18: model.dt_rank: expected auto or a whole number, got the quoted text 'auto'"},
      {"model: {rotary: yes}", "x.yaml:1:17: model.rotary: expected true or false, got 'yes'"},
      {"model: {rotary: True}", "x.yaml:1:17: model.rotary: expected true or false, got 'True'"},
      {"model: {pool: avg}", "x.yaml:1:15: model.pool: expected mean, max or last, got 'avg'"},
      {"model: {image_size: [1, 2, 3]}",
       "x.yaml:1:21: model.image_size: expected a size or [height, width], got a list"},
      {"root: null", "x.yaml:1:1: root: expected text, got nothing"},
      {"root: {a: 1}", "x.yaml:1:7: root: expected text, got a map"},
      {"milestones: 30", "x.yaml:1:13: milestones: expected a list, got '30'"},
      {"milestones: [1, x]", "x.yaml:1:17: milestones.1: expected a whole number, got 'x'"},
      {"optim: {betas: [0.9]}", "x.yaml:1:16: optim.betas: expected a list of 2, got one of 1"},
      {"- a", "x.yaml:1:1: expected a map of keys, got a list"},
      {"optim.lr:3", "x.yaml:1:1: expected a map of keys, got 'optim.lr:3'"},
  };
  for (const Case& c : cases) CHECK(message(c.text) == c.message);
}

TEST_CASE("A value outside its bounds is located and shown, defaults included") {
  const std::vector<Case> cases = {
      {"optim: {lr: 0}", "x.yaml:1:13: optim.lr: expected a number > 0, got '0'"},
      {"optim: {weight_decay: -0.5}",
       "x.yaml:1:23: optim.weight_decay: expected a number >= 0, got '-0.5'"},
      {"optim: {betas: [0.9, 1]}",
       "x.yaml:1:22: optim.betas.1: expected a number >= 0 and < 1, got '1'"},
      {"model: {depth: 0}",
       "x.yaml:1:16: model.depth: expected a whole number from 1 to 1000, got '0'"},
      {"model: {dt_rank: 0}",
       "x.yaml:1:18: model.dt_rank: expected auto or a whole number >= 1, got '0'"},
      {"model: {image_size: [4, 0]}",
       "x.yaml:1:21: model.image_size: expected a size or [height, width] > 0, got a list"},
      {"root: ''", "x.yaml:1:7: root: is empty; give it a value, in the file or with --set"},
  };
  for (const Case& c : cases) CHECK(message(c.text) == c.message);

  Config config;
  config.root.clear();
  vim::config::Loader loader(config);
  CHECK_THROWS_WITH(loader.finish(),
                    "(default): root: is empty; give it a value, in the file or with --set");
}

TEST_CASE("An unknown key gets the nearest name, or all names") {
  const std::vector<Case> cases = {
      {"optim: {weigth_decay: 1}",
       "x.yaml:1:9: optim.weigth_decay: unknown key; did you mean 'weight_decay'?"},
      {"optim: {banana: 1}",
       "x.yaml:1:9: optim.banana: unknown key; the keys here are lr, min_lr, weight_decay, betas"},
      {"transforms: [flip: {p: 1}]",
       "x.yaml:1:21: transforms.0.p: unknown key; nothing can be set here"},
      {"base: y.yaml",
       "x.yaml:1:1: base: unknown key; the keys here are root, device, clip, fast, pool, "
       "milestones, classes, "
       "flags, pools, transforms, model, optim"},
  };
  for (const Case& c : cases) CHECK(message(c.text) == c.message);
}

TEST_CASE("A wrong entry of a list of choices says what can stand there") {
  const std::vector<Case> cases = {
      {"transforms: [flpi]",
       "x.yaml:1:14: transforms.0: expected flip, pad or crop, got 'flpi'; did you mean 'flip'?"},
      {"transforms: [banana: {}]",
       "x.yaml:1:14: transforms.0: expected flip, pad or crop, got 'banana'"},
      {"transforms: [[flip]]", "x.yaml:1:14: transforms.0: expected flip, pad or crop, got a list"},
      {"transforms: [{}]", "x.yaml:1:14: transforms.0: expected flip, pad or crop, got a map"},
      {"transforms:\n  - pad:\n    size: 4",
       "x.yaml:2:5: transforms.0: expected one name, got 2 keys; indent the fields of 'pad' below "
       "it"},
      {"transforms: [flip: 3]", "x.yaml:1:20: transforms.0: takes no value, got '3'"},
      {"transforms: [pad: x]", "x.yaml:1:19: transforms.0.size: expected a whole number, got 'x'"},
      {"transforms: [flip, pad: -1]",
       "x.yaml:1:25: transforms.1.size: expected a whole number >= 0, got '-1'"},
      {"transforms: {flip: {}}", "x.yaml:1:13: transforms: expected a list, got a map"},
  };
  for (const Case& c : cases) CHECK(message(c.text) == c.message);
}

TEST_CASE("YAML that other readers take for something else is refused") {
  const std::vector<Case> cases = {
      {"root: a\nroot: b", "x.yaml:2:1: root: is set twice, first in line 1"},
      {"optim:\n  lr: 1\n  lr: 1", "x.yaml:3:3: optim.lr: is set twice, first in line 2"},
      {"optim: {<<: {lr: 1}}",
       "x.yaml:1:9: optim.<<: merge keys are not supported; write the keys, or use `base:`"},
      {"root: &a x",
       "x.yaml:1:7: anchors and aliases (& and *) are not supported; write the value again"},
      {"root: !!str 010", "x.yaml:1:7: tags (!) are not supported"},
      {"classes:\n  - !\"x\"", "x.yaml:2:5: tags (!) are not supported"},
      {"root: a\n%device: b\n", "x.yaml:2:1: a line cannot start with %"},
      {"%YAML 1.2\n---\nroot: a\n", "x.yaml:1:1: a line cannot start with %"},
      {"{[a]: 1}", "x.yaml:1:2: a key has to be a word"},
      {"root: a\n---\nroot: b", "x.yaml:3:1: a second document; a config is one"},
      {"optim:\n  lr: 1\nroot: 'a\nflags: []\n",
       "x.yaml:3:7: is not valid YAML: a quote is never closed"},
      {"root: 'it''s\n", "x.yaml:1:7: is not valid YAML: a quote is never closed"},
      {"root: 'a", "x.yaml:1:1: is not valid YAML: a quote is never closed"},
      {"root: \"a\\\"\n\n\n", "x.yaml:1:7: is not valid YAML: a quote is never closed"},
      {"flags: [\"a\", 'it''s]\n", "x.yaml:1:8: is not valid YAML: a '[' is never closed"},
      {"root: a\x04\nflags: x", "x.yaml:1:8: is not plain UTF-8 text"},
      {"root: [a\n\n", "x.yaml:1:7: is not valid YAML: a '[' is never closed"},
      {"root: {a: 1\n\n", "x.yaml:1:7: is not valid YAML: a '{' is never closed"},
      {"root: \"a\" b",
       "x.yaml:1:11: is not valid YAML: this belongs to no key; check indentation and quotes"},
      {"root: a: b",
       "x.yaml:1:8: is not valid YAML: no ':' can stand here; check indentation (no tabs) and "
       "quotes"},
      {"optim:\n\tlr: 1",
       "x.yaml:2:4: is not valid YAML: no ':' can stand here; check indentation (no tabs) and "
       "quotes"},
      {"optim:\n  lr: 1\n root: a",
       "x.yaml:3:2: is not valid YAML: this belongs to no key; check indentation and quotes"},
      {"root: \"\\q\"", "x.yaml:1:10: is not valid YAML: unknown escape character: q"},
      {"root: caf\xe9", "x.yaml:1:10: is not plain UTF-8 text"},
      {"optim:\n  lr: \xed\xa0\x80", "x.yaml:2:7: is not plain UTF-8 text"},
      {std::string(100000, '['), "x.yaml:1:1: is nested too deeply"},
  };
  for (const Case& c : cases) CHECK(message(c.text) == c.message);
}

TEST_CASE("Five mistakes are reported at once, in the order of the file") {
  CHECK(message(R"(model:
  depth: many
  pool: avg
  dt_rnak: 3
root: ''
optim:
  lr: -1
  betas: [0.9, 0.99, 0.999]
)") == R"(x.yaml:2:10: model.depth: expected a whole number, got 'many'
x.yaml:3:9: model.pool: expected mean, max or last, got 'avg'
x.yaml:4:3: model.dt_rnak: unknown key; did you mean 'dt_rank'?
x.yaml:5:7: root: is empty; give it a value, in the file or with --set
x.yaml:7:7: optim.lr: expected a number > 0, got '-1'
x.yaml:8:10: optim.betas: expected a list of 2, got one of 3)");
}

TEST_CASE("Rules that span fields are located where the value was set") {
  CHECK(message("optim:\n  lr: 1e-6") ==
        "(default): optim.min_lr: is above optim.lr, which is 1e-06");
  CHECK(message("optim:\n  min_lr: 1") ==
        "x.yaml:2:11: optim.min_lr: is above optim.lr, which is 0.0005");
  CHECK(message("", {"optim.min_lr=1"}) ==
        "--set optim.min_lr=1: optim.min_lr: is above optim.lr, which is 0.0005");
  CHECK(message("transforms:\n  - crop: {scale: [1, 0.5]}") ==
        "x.yaml:2:19: transforms.0.scale: the smallest share is above the largest");
  // Not where a part of them is wrong by itself.
  CHECK(message("optim: {min_lr: 1, lr: -1}") ==
        "x.yaml:1:24: optim.lr: expected a number > 0, got '-1'");
}

TEST_CASE("Mistakes of --set name the flag") {
  const std::vector<Case> cases = {
      {"optim.lr=fast", "--set optim.lr=fast: optim.lr: expected a number, got 'fast'"},
      {"optim.lr=", "--set optim.lr=: optim.lr: expected a number, got nothing"},
      {"optim.lr", "--set optim.lr: expected KEY=VALUE, as in optim.lr=1e-3"},
      {"optim..lr=1", "--set optim..lr=1: expected KEY=VALUE, as in optim.lr=1e-3"},
      {"=1", "--set =1: expected KEY=VALUE, as in optim.lr=1e-3"},
      {"optim.rl=1", "--set optim.rl=1: optim.rl: unknown key; did you mean 'lr'?"},
      {"optim.lr.x=1", "--set optim.lr.x=1: optim.lr: expected a number, got a map"},
      {"milestones=[1",
       "--set milestones=[1: milestones: is not valid YAML: a '[' is never closed"},
      {"milestones.5=1",
       "--set milestones.5=1: milestones.5: no such entry; the entries are 0 to 1"},
      {"classes.0=a", "--set classes.0=a: classes.0: no such entry; the list is empty"},
      {"transforms.0.scale.0=2",
       "--set transforms.0.scale.0=2: transforms.0.scale.0: expected a number from 0 to 1, got "
       "'2'"},
      {"transforms.1.p=2",
       "--set transforms.1.p=2: transforms.1.p: unknown key; nothing can be set here"},
  };
  for (const Case& c : cases) CHECK(message("", {c.text}) == c.message);
}
