#include "vim/core/file.h"

#include <catch2/catch.hpp>

#include "support/support.h"
#include "vim/core/error.h"

namespace fs = std::filesystem;

TEST_CASE("An atomic write replaces the file, and a failed one leaves it and nothing else") {
  const vim::test::ScratchFolder folder;
  const fs::path path = folder / "state";
  vim::write_atomically(path, "first");
  CHECK(vim::read_file(path) == "first");
  vim::write_atomically(path, "second");
  CHECK(vim::read_file(path) == "second");

  CHECK_THROWS_AS(vim::write_atomically(path,
                                        [](vim::FileWriter& file) {
                                          file.write("half");
                                          throw vim::Error("interrupted");
                                        }),
                  vim::Error);
  CHECK(vim::read_file(path) == "second");
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("A full disk is an error that names the file") {
  if (!fs::exists("/dev/full")) VIM_SKIP("no /dev/full");
  vim::FileWriter full("/dev/full");
  CHECK_THROWS_WITH(full.write("x"), Catch::Contains("/dev/full: cannot write: No space left"));
}

TEST_CASE("A file is read whole, whatever its size") {
  const vim::test::ScratchFolder folder;
  for (size_t size : {0, 1, 65535, 65536, 65537, 200000}) {
    const std::string content(size, 'x');
    vim::write_atomically(folder / "file", content);
    CHECK(vim::read_file(folder / "file") == content);
  }
}

TEST_CASE("A file that is not there, and a folder, are errors that name it") {
  CHECK_THROWS_WITH(vim::read_file("/no/such/file"),
                    "/no/such/file: cannot open: No such file or directory");
  CHECK_THROWS_WITH(vim::read_file("/tmp"), "/tmp: cannot read: Is a directory");
}
