#include "vim/core/text.h"

#include <catch2/catch.hpp>
#include <vector>

TEST_CASE("The nearest name is found for a slip and not for another word") {
  const std::vector<std::string> names = {"mixup_alpha", "cutmix_alpha", "lr", "weight_decay"};
  CHECK(vim::nearest("mixup_alpah", names) == "mixup_alpha");
  CHECK(vim::nearest("weigth_decay", names) == "weight_decay");
  CHECK(vim::nearest("rl", names) == "lr");
  CHECK(vim::nearest("banana", names).empty());
}

TEST_CASE("Numbers are written for people") {
  CHECK(vim::with_separators(7148008) == "7,148,008");
  CHECK(vim::with_separators(-1234) == "-1,234");
  CHECK(vim::with_separators(999) == "999");
  CHECK(vim::as_bytes(1536) == "1.5 KiB");
  CHECK(vim::as_bytes(12) == "12 B");
  CHECK(vim::as_duration(3725) == "1:02:05");
  CHECK(vim::as_duration(65.4) == "1:05");
}
