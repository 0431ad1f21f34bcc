// The format's own implementation as the oracle; skipped where it is not installed.
#include <cstdlib>

#include "io/example.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/io/safetensors.h"

using vim::io::read_safetensors;
using vim::io::write_safetensors;
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
