// The formats' own implementations as oracles; skipped where they are not installed.
#include <cstdlib>

#include "io/example.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/core/file.h"
#include "vim/io/safetensors.h"
#include "vim/io/torch_file.h"

using vim::io::read_safetensors;
using vim::io::write_safetensors;
using vim::io::write_torch;
using vim::test::check_same;
using vim::test::TensorFile;

TEST_CASE("The safetensors package of Python reads what we write, and we read what it writes") {
  if (std::system("python3 -c 'import numpy, safetensors.numpy' 2>/dev/null") != 0) {
    VIM_SKIP("Python's safetensors is not installed");
  }
  const vim::test::ScratchFolder folder;
  TensorFile content = vim::test::one_of_everything();
  // NumPy has no bfloat16.
  std::erase_if(content.tensors,
                [](const auto& item) { return item.second.scalar_type() == at::kBFloat16; });
  content.metadata.clear();
  write_safetensors(folder / "ours", content);
  const std::string command =
      "python3 -c 'import sys; from safetensors.numpy import *; "
      "save_file(load_file(sys.argv[1]), sys.argv[2])' " +
      (folder / "ours").string() + " " + (folder / "theirs").string();
  REQUIRE(std::system(command.c_str()) == 0);
  check_same(read_safetensors(folder / "theirs"), content);
}

TEST_CASE("torch.load(weights_only=True) reads what we write, and we read what torch.save writes") {
  if (std::system("python3 -c 'import torch' 2>/dev/null") != 0) {
    VIM_SKIP("Python's torch is not installed");
  }
  const vim::test::ScratchFolder folder;
  TensorFile content = vim::test::one_of_everything();
  for (const auto& [name, tensor] : TensorFile(content).tensors) {
    content.tensors["nested/" + name] = tensor;
  }
  write_torch(folder / "ours.pth", content);
  vim::write_atomically(folder / "save.py", R"(
import argparse, collections, sys, torch
folder = sys.argv[1]
ours = torch.load(f"{folder}/ours.pth", weights_only=True)
assert ours["config"] == 'a: "b"\n' and ours["nested"]["Float"].shape == (6, 5)
ours["others"] = {"args": argparse.Namespace(lr=0.5), "list": [1, None, True, 2.5, 2**80, b"x"],
                  "small": torch.zeros(3, dtype=torch.uint16), "sparse": torch.eye(3).to_sparse()}
ours["parameter"] = torch.nn.Parameter(ours["Float"])
for protocol in 2, 3, 4, 5:
    torch.save(ours, f"{folder}/zip{protocol}", pickle_protocol=protocol)
    del ours["others"]["small"]  # of no known size, which the older format needs
    torch.save(ours, f"{folder}/legacy{protocol}", pickle_protocol=protocol,
               _use_new_zipfile_serialization=False)
    ours["others"]["small"] = torch.zeros(3, dtype=torch.uint16)
)");
  const std::string command =
      "python3 " + (folder / "save.py").string() + " " + folder.path().string();
  REQUIRE(std::system(command.c_str()) == 0);
  for (const std::string format : {"zip", "legacy"}) {
    for (const char* protocol : {"2", "3", "4", "5"}) {
      CAPTURE(format, protocol);
      const TensorFile read = vim::io::read_torch(folder / (format + protocol));
      REQUIRE(read.tensors.size() == content.tensors.size() + 1);
      for (const auto& [name, tensor] : content.tensors) {
        CAPTURE(name);
        CHECK(vim::test::same(read.tensors.at(name), tensor));
      }
      CHECK(read.metadata.at("others/args/lr") == "0.5");
      CHECK(read.metadata.at("others/list/1") == "null");
    }
  }
}
