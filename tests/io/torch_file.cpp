#include "vim/io/torch_file.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>

#include <cstring>
#include <random>

#include "io/example.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/io/safetensors.h"

namespace fs = std::filesystem;
using vim::io::read_torch;
using vim::io::TensorFile;
using vim::io::write_torch;
using vim::test::same;

namespace {

fs::path checkpoint_fixture(const std::string& name) {
  return vim::test::fixture("checkpoints") / name;
}

// The parameters of the fixture `base`, which the checkpoints hold.
TensorFile::Tensors base_parameters() {
  const TensorFile file = vim::io::read_safetensors(vim::test::fixture("base.safetensors"));
  TensorFile::Tensors parameters;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with("param/")) parameters.emplace(name.substr(6), tensor);
  }
  return parameters;
}

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

uint32_t crc32(const std::string& data) {
  uint32_t crc = ~0u;
  for (const unsigned char byte : data) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
  }
  return ~crc;
}

// A zip archive of one entry, data.pkl.
std::string zip_of(const std::string& pickle) {
  const std::string name = "archive/data.pkl";
  const auto size = static_cast<uint32_t>(pickle.size());
  const std::string facts = raw<uint16_t>(0) + raw<uint32_t>(0) + raw(crc32(pickle)) + raw(size) +
                            raw(size) + raw(static_cast<uint16_t>(name.size())) + raw<uint16_t>(0);
  const std::string local =
      "PK\x03\x04" + raw<uint16_t>(20) + raw<uint16_t>(0) + facts + name + pickle;
  const std::string central = "PK\x01\x02" + raw<uint32_t>(0x140014) + raw<uint16_t>(0) + facts +
                              raw<uint16_t>(0) + raw<uint32_t>(0) + raw<uint32_t>(0) +
                              raw<uint32_t>(0) + name;
  return local + central + "PK\x05\x06" + raw<uint32_t>(0) + raw<uint16_t>(1) + raw<uint16_t>(1) +
         raw(static_cast<uint32_t>(central.size())) + raw(static_cast<uint32_t>(local.size())) +
         raw<uint16_t>(0);
}

}  // namespace

TEST_CASE(
    "Official checkpoints are read: zip and legacy, nested, with objects that are only named") {
  if (!fs::exists(checkpoint_fixture("official.pth"))) VIM_SKIP("no fixtures");
  const auto base = base_parameters();
  const TensorFile official = read_torch(checkpoint_fixture("official.pth"));
  const TensorFile bare = read_torch(checkpoint_fixture("bare_state_dict.pth"));
  const TensorFile half = read_torch(checkpoint_fixture("module_prefix_half.pth"));
  const TensorFile legacy = read_torch(checkpoint_fixture("model_only_legacy.pth"));
  for (const auto& [name, tensor] : base) {
    CAPTURE(name);
    CHECK(same(official.tensors.at("model/" + name), tensor));
    CHECK(at::equal(official.tensors.at("model_ema/" + name), at::mul(tensor, 1.5)));
    CHECK(same(bare.tensors.at(name), tensor));
    CHECK(same(legacy.tensors.at("model/" + name), tensor));
    const auto found = std::ranges::find_if(
        half.tensors, [&](const auto& item) { return item.first.ends_with("module." + name); });
    REQUIRE(found != half.tensors.end());
    CHECK(same(found->second, tensor.to(at::kHalf)));
  }
  CHECK(official.metadata.at("args") == R"({"class":"argparse.Namespace"})");
  CHECK(official.metadata.at("args/epochs") == "300");
  CHECK(official.metadata.at("scaler/scale") == "65536.0");
}

TEST_CASE("Views, strides and every dtype are read as they were saved") {
  if (!fs::exists(checkpoint_fixture("views_and_dtypes.pth"))) VIM_SKIP("no fixtures");
  const TensorFile expected =
      vim::io::read_safetensors(checkpoint_fixture("views_and_dtypes.safetensors"));
  const TensorFile read = read_torch(checkpoint_fixture("views_and_dtypes.pth"));
  for (const auto& [name, tensor] : expected.tensors) {
    CAPTURE(name);
    CHECK(same(read.tensors.at("model/" + name), tensor));
  }
  CHECK(same(read.tensors.at("model/shared_b"), read.tensors.at("model/shared_a")));
  CHECK(read.tensors.size() == expected.tensors.size() + 1);
}

TEST_CASE("A pickle that would run a command loads as data, and the command never runs") {
  const fs::path path = checkpoint_fixture("runs_code.pth");
  if (!fs::exists(path)) VIM_SKIP("no fixtures");
  const vim::test::ScratchFolder folder;
  const fs::path here = fs::current_path();
  fs::current_path(folder.path());
  const TensorFile file = read_torch(path);
  fs::current_path(here);
  CHECK(!file.tensors.empty());
  CHECK(fs::is_empty(folder.path()));
  CHECK(std::ranges::any_of(file.metadata, [](const auto& item) {
    return item.second.find("system") != std::string::npos;
  }));
}

TEST_CASE("What is written comes back: every dtype, shape and stride, nested names, texts") {
  const vim::test::ScratchFolder folder;
  TensorFile content;
  for (const auto& [name, tensor] : vim::test::one_of_everything().tensors) {
    content.tensors["model/" + name] = tensor;
  }
  content.tensors["top"] = at::arange(3);
  content.metadata = {{"config", "a: \"b\"\n"}, {"Größe/b", "日本"}};
  write_torch(folder / "x.pth", content);
  const TensorFile read = read_torch(folder / "x.pth");
  vim::test::check_same(read, content);

  content.tensors["top/below"] = at::arange(3);
  CHECK_THROWS_WITH(write_torch(folder / "x.pth", content), Catch::Contains("'top/below'"));
  CHECK(read_torch(folder / "x.pth").metadata == read.metadata);
}

TEST_CASE("Pickles that would take memory, time or the stack are refused") {
  const std::string deep_lists = [] {
    std::string pickle = "\x80\x02]q\1";  // each list holds the one before it
    for (int i = 0; i < 100000; ++i)
      pickle +=
          "(h\1l"
          "q\1";
    return pickle + ".";
  }();
  const std::string doubling_lists = [] {
    std::string pickle = "\x80\x02]q\1";  // each list holds the one before it twice
    for (int i = 0; i < 60; ++i)
      pickle +=
          "(h\1h\1l"
          "q\1";
    return pickle + ".";
  }();
  struct Case {
    std::string pickle, message;
  };
  const std::string tensor_of =
      "\x80\x02"
      "ctorch._utils\n_rebuild_tensor_v2\n";
  const auto text = [](const std::string& t) {
    return "X" + raw(static_cast<uint32_t>(t.size())) + t;
  };
  const std::string storage =
      "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu");
  const std::string zero("K\0", 2);
  const std::vector<Case> cases = {
      {"", "its pickle ends too early"},
      {".", "takes a value that is not there"},
      {"\x80\x09.", "unknown protocol"},
      {std::string("X\xff\xff\xff\x7f", 5) + "a.", "announces a text of 2147483647 bytes"},
      {std::string("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", 10), "announces a text"},
      {"h\5.", "refers to a value that is not there"},
      {"t.", "goes back to a mark that is not there"},
      {"K\1K\2a.", "puts items into what holds none"},
      {"(K\1d.", "a key without a value"},
      {"]q\1h\1a.", "nested more than"},
      {deep_lists, "nested more than"},
      {doubling_lists, "more than 500000 values"},
      {"\xf0.", "unknown operation"},
      {tensor_of + "(tR.", "a tensor has no storage"},
      {tensor_of + "(" + storage + "K\4tQ" + zero + "(K\4t(K\1ttR.",
       "its entry 'data/0' is missing"},
  };
  const vim::test::ScratchFolder folder;
  const fs::path path = folder / "x.pth";
  for (const Case& c : cases) {
    CAPTURE(c.message);
    vim::write_atomically(path, zip_of(c.pickle));
    CHECK_THROWS_WITH(read_torch(path), Catch::StartsWith(path.string() + ": not a PyTorch file") &&
                                            Catch::Contains(c.message));
  }
  vim::write_atomically(path, zip_of("K\7."));
  CHECK(read_torch(path).metadata.at("value") == "7");
}

TEST_CASE("A tensor reaches only into its own storage") {
  const vim::test::ScratchFolder folder;
  const fs::path path = folder / "x.pth";
  write_torch(path, {.tensors = {{"a", at::arange(6, at::kFloat).view({2, 3})}}, .metadata = {}});
  const std::string good = vim::read_file(path);
  // Numbers of the pickle: sizes 2 and 3, strides 3 and 1.
  const std::vector<std::pair<int64_t, int64_t>> changes = {
      {2, 3}, {2, int64_t{1} << 62}, {2, -1}, {3, int64_t{1} << 40}};
  for (const auto& [from, to] : changes) {
    CAPTURE(from, to);
    std::string bad = good;
    const size_t place = bad.find("\x8a\x08" + raw(from), bad.find("tQ"));
    REQUIRE(place != std::string::npos);
    bad.replace(place + 2, 8, raw(to));
    const size_t begin = bad.find("\x80\x02"), end = bad.find("u.", begin) + 2;
    vim::write_atomically(path, zip_of(bad.substr(begin, end - begin)));
    CHECK_THROWS_AS(read_torch(path), vim::Error);  // and even without the missing storage:
    const std::string old_crc = raw(crc32(good.substr(begin, end - begin)));
    const std::string new_crc = raw(crc32(bad.substr(begin, end - begin)));
    for (size_t at = 0; (at = bad.find(old_crc, at)) != std::string::npos;) {
      bad.replace(at, 4, new_crc);
    }
    vim::write_atomically(path, bad);
    CHECK_THROWS_WITH(read_torch(path), Catch::Contains("a tensor"));
  }
}

TEST_CASE("Broken files of others are refused with one sentence") {
  if (!fs::exists(checkpoint_fixture("truncated.pth"))) VIM_SKIP("no fixtures");
  CHECK_THROWS_WITH(read_torch(checkpoint_fixture("truncated.pth")),
                    Catch::Contains("truncated.pth: not a PyTorch file: its zip directory is "
                                    "missing: it is truncated"));
}

TEST_CASE("A damaged PyTorch file, zip or legacy, is read or refused, and does nothing else") {
  const fs::path legacy = checkpoint_fixture("model_only_legacy.pth");
  if (!fs::exists(legacy)) VIM_SKIP("no fixtures");
  const vim::test::ScratchFolder folder;
  std::mt19937_64 random(vim::test::fresh_seed());
  write_torch(folder / "good", vim::test::one_of_everything());
  for (const std::string& good :
       {vim::read_file(folder / "good"), vim::read_file(legacy).substr(0, 200000)}) {
    for (int round = 0; round < 1500; ++round) {
      std::string bad = good;
      for (size_t flips = 1 + random() % 4; flips > 0; --flips) {
        bad[random() % std::min<size_t>(good.size(), 30000)] = static_cast<char>(random());
      }
      if (random() % 4 == 0) bad.resize(random() % bad.size());
      vim::FileWriter(folder / "bad").write(bad);
      try {
        read_torch(folder / "bad");
      } catch (const vim::Error&) {
      }
    }
  }
  SUCCEED("survived");
}
