#include "vim/io/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include <cstring>
#include <random>
#include <vector>

#include "io/example.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/file.h"

namespace fs = std::filesystem;
using vim::io::read_safetensors;
using vim::io::TensorFile;
using vim::io::write_safetensors;
using vim::test::check_same;
using vim::test::one_of_everything;
using vim::test::same;

namespace {

// A file of the format, from its parts.
std::string file_bytes(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + header + data;
}

}  // namespace

TEST_CASE("Tensors of every dtype, shape and stride come back as they were") {
  const vim::test::ScratchFolder folder;
  const TensorFile content = one_of_everything();
  write_safetensors(folder / "all", content);
  check_same(read_safetensors(folder / "all"), content);

  write_safetensors(folder / "none", {});
  check_same(read_safetensors(folder / "none"), {});
}

TEST_CASE("The written bytes are those of the format's description") {
  const vim::test::ScratchFolder folder;
  TensorFile content;
  content.tensors["b"] = at::arange(2, at::kInt);
  content.tensors["a"] = at::scalar_tensor(1, at::kBool);
  content.metadata["k"] = "v";
  write_safetensors(folder / "file", content);
  const std::string header =
      R"({"__metadata__":{"k":"v"},"b":{"dtype":"I32","shape":[2],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}})";
  std::string padded = header;
  while (padded.size() % 8 != 0) padded += ' ';
  CHECK(vim::read_file(folder / "file") ==
        file_bytes(padded, std::string("\0\0\0\0\1\0\0\0\1", 9)));
}

TEST_CASE("What cannot be written is refused before the old file is touched") {
  const vim::test::ScratchFolder folder;
  const fs::path path = folder / "x";
  vim::write_atomically(path, "old");
  TensorFile content;
  content.tensors["c"] = at::zeros({1}, at::kComplexFloat);
  CHECK_THROWS_WITH(
      write_safetensors(path, content),
      path.string() + ": cannot write tensor 'c': safetensors has no dtype for ComplexFloat");
  content.tensors.clear();
  content.metadata["class"] = "caf\xe9";
  CHECK_THROWS_WITH(write_safetensors(path, content), Catch::Contains("is not UTF-8"));
  CHECK(vim::read_file(path) == "old");
}

TEST_CASE("Every violation of the format is one sentence that names the file") {
  struct Case {
    std::string header, data, message;
  };
  const auto tensor = [](const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}}";
  };
  const std::vector<Case> cases = {
      {"", "", "its header is not a JSON object"},
      {"[1]", "", "its header is not a JSON object"},
      {" {}", "", "its header is not a JSON object"},
      {std::string("{}\0x", 4), "", "its header is not a JSON object"},
      {R"({"a":1})", "", "tensor 'a' is not described by an object"},
      {R"({"a":{}})", "", "tensor 'a' has no 'dtype'"},
      {R"({"a":{},"a":{}})", "", "its header holds the key \"a\" twice"},
      {R"({"__metadata__":{"k":1}})", "", "its metadata 'k' is not a string"},
      {R"({"__metadata__":[]})", "", "its '__metadata__' is not an object"},
      {R"({"a":[[[[]]]]})", "", "its header is nested too deeply"},
      {tensor("F8", "[1]", "[0,1]"), "x", "tensor 'a' has the unsupported dtype 'F8'"},
      {tensor("U8", "1", "[0,1]"), "x", "tensor 'a' has no list 'shape'"},
      {tensor("U8", "[-1]", "[0,1]"), "x",
       "tensor 'a' has -1 in 'shape', which is not a whole number from 0 to 2^63 - 1"},
      {tensor("U8", "[1]", "[0,1.5]"), "x",
       "tensor 'a' has 1.5 in 'data_offsets', which is not a whole number from 0 to 2^63 - 1"},
      {tensor("U8", "[1]", "[0,18446744073709551615]"), "x",
       "tensor 'a' has 18446744073709551615 in 'data_offsets', which is not a whole number from 0 "
       "to 2^63 - 1"},
      {tensor("U8", "[1]", "[0]"), "x", "tensor 'a' needs two 'data_offsets'"},
      {tensor("U8", "[1]", "[1,0]"), "x",
       "tensor 'a' claims the bytes 1 to 0 of the 1 that follow the header"},
      {tensor("U8", "[2]", "[0,2]"), "x",
       "tensor 'a' claims the bytes 0 to 2 of the 1 that follow the header"},
      {tensor("F32", "[2]", "[0,4]"), "wxyz", "tensor 'a' needs 8 bytes and has 4"},
      {tensor("U8", "[4294967296,4294967296]", "[0,0]"), "",
       "tensor 'a' has a shape with more than 2^63 bytes"},
      {tensor("F64", "[0,1152921504606846976]", "[0,0]"), "",
       "tensor 'a' has a shape with more than 2^63 bytes"},
      {tensor("U8", "[1]", "[1,2]"), "xy",
       "the bytes 0 to 1 before tensor 'a' belong to no tensor"},
      {tensor("U8", "[1]", "[0,1]"), "xy", "the last 1 bytes belong to no tensor"},
      {tensor("BOOL", "[1]", "[0,1]"), "\x02",
       "tensor 'a' is BOOL and holds a byte that is neither 0 nor 1"},
      {"{}", "x", "the last 1 bytes belong to no tensor"},
  };
  const vim::test::ScratchFolder folder;
  const fs::path path = folder / "x.safetensors";
  for (const Case& c : cases) {
    INFO(c.header);
    vim::write_atomically(path, file_bytes(c.header, c.data));
    CHECK_THROWS_WITH(read_safetensors(path),
                      path.string() + ": not a safetensors file: " + c.message);
  }
  for (const std::string& header : {std::string("{"), std::string("{\"\xff\":{}}"),
                                    std::string("{} x"), "{\"a\":" + std::string(100000, '[')}) {
    vim::write_atomically(path, file_bytes(header, ""));
    CHECK_THROWS_AS(read_safetensors(path), vim::Error);
  }
  vim::write_atomically(path, "1234567");
  CHECK_THROWS_WITH(read_safetensors(path),
                    path.string() + ": not a safetensors file: it is shorter than 8 bytes");
  CHECK_THROWS_WITH(read_safetensors(folder / "none"),
                    (folder / "none").string() + ": cannot open: No such file or directory");
  CHECK_THROWS_AS(read_safetensors(folder.path()), vim::Error);
}

TEST_CASE("Hostile files written by others are refused, and good ones read") {
  const fs::path folder = vim::test::fixture("checkpoints");
  if (!fs::exists(folder)) VIM_SKIP("no fixtures");
  for (const char* name : {"truncated", "huge_header", "overflow_shape", "overlapping"}) {
    INFO(name);
    CHECK_THROWS_AS(read_safetensors(folder / (std::string(name) + ".safetensors")), vim::Error);
  }
  const TensorFile file = read_safetensors(folder / "views_and_dtypes.safetensors");
  CHECK(file.tensors.at("i64").sizes() == at::IntArrayRef({7}));
  CHECK(file.tensors.at("empty").sizes() == at::IntArrayRef({0, 4}));
  CHECK(file.tensors.at("scalar").dim() == 0);
  CHECK(file.tensors.at("bool").scalar_type() == at::kBool);
  CHECK(file.tensors.at("bf16").scalar_type() == at::kBFloat16);
  CHECK(same(file.tensors.at("transposed"), file.tensors.at("shared_a").t()));
}

TEST_CASE("A damaged file is read or refused, and does nothing else") {
  const vim::test::ScratchFolder folder;
  std::mt19937_64 random(vim::test::fresh_seed());
  write_safetensors(folder / "good", one_of_everything());
  const std::string good = vim::read_file(folder / "good");
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    const size_t header_end = std::min<size_t>(good.size(), 6000);
    for (size_t flips = random() % 4; flips > 0; --flips) {
      bad[random() % header_end] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    vim::FileWriter(folder / "bad").write(bad);
    try {
      read_safetensors(folder / "bad");
    } catch (const vim::Error&) {
      ++refused;
    }
  }
  CHECK(refused > 1000);
}
