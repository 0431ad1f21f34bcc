#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "config/sample.h"
#include "support/support.h"
#include "vim/core/error.h"

namespace fs = std::filesystem;
using namespace sample;
using vim::config::load;
using vim::config::load_text;

namespace {

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

Config parse(const std::string& text, const std::vector<std::string>& assignments = {}) {
  return load_text<Config>(text, "x.yaml", assignments);
}

}  // namespace

TEST_CASE("Later layers override earlier ones key by key, and lists as a whole") {
  const vim::test::ScratchFolder folder;
  write(folder / "a.yaml", "optim: {lr: 1, weight_decay: 1}\nmilestones: [1, 2, 3]\nroot: a\n");
  write(folder / "sub" / "b.yaml", "base: ../a.yaml\noptim: {lr: 2}\nmilestones: [4]\n");
  write(folder / "c.yaml", "optim: {betas: [0.1, 0.2]}\nbase: sub/b.yaml\n");
  const Config config =
      load<Config>(folder / "c.yaml", std::vector<std::string>{"optim.lr=3", "root=set"});
  Config expected;
  expected.optim = {3, 1e-5, 1, {0.1, 0.2}};
  expected.milestones = {4};
  expected.root = "set";
  CHECK(config == expected);
}

TEST_CASE("A problem names the file of the chain that it is in") {
  const vim::test::ScratchFolder folder;
  const std::string a = (folder / "a.yaml").string(), b = (folder / "b.yaml").string();
  write(a, "optim:\n  lr: -1\nroot: [\n");
  write(b, "base: a.yaml\nmodel: {depth: x}\n");
  CHECK_THROWS_WITH(load<Config>(b), b + ":2:16: model.depth: expected a whole number, got 'x'\n" +
                                         a + ":3:7: is not valid YAML: a '[' is never closed");
  write(a, "optim:\n  lr: -1\n");
  CHECK_THROWS_WITH(load<Config>(b), b + ":2:16: model.depth: expected a whole number, got 'x'\n" +
                                         a + ":2:7: optim.lr: expected a number > 0, got '-1'");
  // The value that counts is that of the last layer.
  write(b, "base: a.yaml\noptim: {lr: 1}\n");
  CHECK(load<Config>(b).optim.lr == 1);
}

TEST_CASE("Bases that are absent, circular or no file names are located") {
  const vim::test::ScratchFolder folder;
  const std::string a = (folder / "a.yaml").string(), b = (folder / "b.yaml").string();
  CHECK_THROWS_WITH(load<Config>(a), a + ": cannot open: No such file or directory");
  CHECK_THROWS_AS(load<Config>(a), vim::UsageError);
  CHECK_THROWS_AS(load<Config>(folder.path()), vim::UsageError);
  write(a, "base: b.yaml\n");
  CHECK_THROWS_WITH(load<Config>(a),
                    a + ":1:7: base: " + b + ": cannot open: No such file or directory");
  write(b, "\nbase: ./a.yaml\n");
  CHECK_THROWS_WITH(load<Config>(a), b + ":2:7: base: " + (folder / "./a.yaml").string() +
                                         " is in turn based on this file");
  write(a, "base: a.yaml\n");
  CHECK_THROWS_WITH(load<Config>(a), a + ":1:7: base: " + a + " is in turn based on this file");
  write(a, "base: ''\n");
  CHECK_THROWS_WITH(load<Config>(a),
                    a + ":1:7: base: expected a file name, got the quoted text ''");
  fs::create_symlink("loop.yaml", folder / "loop.yaml");
  CHECK_THROWS_AS(load<Config>(folder / "loop.yaml"), vim::UsageError);
  write(a, "base: [b.yaml]\n");
  CHECK_THROWS_WITH(load<Config>(a), a + ":1:7: base: expected a file name, got a list");
}

TEST_CASE("Numbers, words and texts are read as people mean them") {
  CHECK(parse("optim: {lr: 1e-3}").optim.lr == 1e-3);
  CHECK(parse("optim: {lr: 3E-3}").optim.lr == 3e-3);
  CHECK(parse("optim: {lr: .5}").optim.lr == 0.5);
  CHECK(parse("optim: {lr: +1}").optim.lr == 1);
  CHECK(parse("optim: {lr: 1.}").optim.lr == 1);
  CHECK(parse("optim: {lr: 0.1}").optim.lr == 0.1);
  CHECK(parse("model: {depth: +7}").model.depth == 7);
  CHECK(parse("root: 010").root == "010");
  CHECK(parse("root: yes").root == "yes");
  CHECK(parse("root: 'null'").root == "null");
  CHECK(parse("root: a b").root == "a b");
  CHECK(parse("root: |\n  a\n  b\n").root == "a\nb\n");
  CHECK(parse("device: auto").device == std::nullopt);
  CHECK(parse("device: 'auto'").device == "auto");
  CHECK(parse("model: {image_size: [192, 256]}").model.image_size == Size{192, 256});
  CHECK(parse("model: {image_size: 64}").model.image_size == Size{64, 64});
  CHECK(parse("optim:\n  # nothing yet\nroot: a\r\n").root == "a");
  CHECK(parse("") == Config{});
  CHECK(parse("# only a comment\n") == Config{});
  CHECK(parse("---\nroot: a\n...\n").root == "a");
  CHECK(parse("\xef\xbb\xbfroot: a\n").root == "a");
}

TEST_CASE(
    "An entry of a list of choices is a name, a name with fields, or a name with its first field") {
  const Config config = parse(R"(transforms:
  - pad
  - pad: 7
  - pad: {colour: white}
  - pad:
  - pad:
      size: 1
      colour: red
  - crop: [0.5, 1]
  - flip: {}
)");
  CHECK(config.transforms == std::vector<Transform>{Pad{}, Pad{7}, Pad{4, "white"}, Pad{},
                                                    Pad{1, "red"}, Crop{{0.5, 1}, {}}, Flip{}});
}

TEST_CASE("--set reaches every value") {
  const Config config =
      parse("", {"model={depth: 2, rotary: true}", "model.dt_rank=8", "optim.betas.1=0.5",
                 "milestones=[7, 8, 9]", "milestones.0=1", "transforms.0.to=[1, 2]",
                 "transforms.1={pad: 3}", "transforms.1.colour=red", "root=a=b", "device='auto'"});
  Config expected;
  expected.model.depth = 2;
  expected.model.rotary = true;
  expected.model.dt_rank = 8;
  expected.optim.betas[1] = 0.5;
  expected.milestones = {1, 8, 9};
  expected.transforms = {Crop{{0.08, 1}, {1, 2}}, Pad{3, "red"}};
  expected.root = "a=b";
  expected.device = "auto";
  CHECK(config == expected);
}

TEST_CASE("Environment variables are expanded in values of every type") {
  setenv("VIM_TEST_DATA", "/mnt/images", 1);
  setenv("VIM_TEST_DEPTH", "7", 1);
  setenv("VIM_TEST_EMPTY", "", 1);
  unsetenv("VIM_TEST_UNSET");
  CHECK(parse("root: ${VIM_TEST_DATA}/train").root == "/mnt/images/train");
  CHECK(parse("root: \"${VIM_TEST_DATA}\"").root == "/mnt/images");
  CHECK(parse("model:\n  depth: ${VIM_TEST_DEPTH}").model.depth == 7);
  CHECK(parse("root: ${VIM_TEST_UNSET:-data}${VIM_TEST_EMPTY:-/x}").root == "data/x");
  CHECK(parse("root: x${VIM_TEST_UNSET:-}").root == "x");
  CHECK(parse("root: $${VIM_TEST_DATA} $VIM_TEST_DATA $").root ==
        "${VIM_TEST_DATA} $VIM_TEST_DATA $");
  CHECK(parse("", {"root=${VIM_TEST_DATA}"}).root == "/mnt/images");

  CHECK_THROWS_WITH(
      parse("optim:\n  lr: ${VIM_TEST_UNSET}"),
      "x.yaml:2:7: optim.lr: the environment variable VIM_TEST_UNSET is not set; set it, or write "
      "${VIM_TEST_UNSET:-default}");
  CHECK_THROWS_WITH(parse("root: ${X"),
                    "x.yaml:1:7: root: '${' without '}'; write $${ for the characters ${");
  CHECK_THROWS_WITH(
      parse("root: ${a b}"),
      "x.yaml:1:7: root: 'a b' cannot be an environment variable; write $${ for the characters ${");
}
