#include "train/settings.h"

#include "support/catch.h"

TEST_CASE("Settings stand under their whole key, plain entries of a list together") {
  const std::map<std::string, std::string> expected = {{"model.depth", "24"},
                                                       {"data.root", "a: b"},
                                                       {"data.train_transforms", "- flip - blur"},
                                                       {"data.train_transforms.- crop.size", "8"},
                                                       {"data.workers", "auto"},
                                                       {"threads", "2"}};
  CHECK(vim::train::settings_of("model:\n"
                                "  depth: 24\n"
                                "data:\n"
                                "  root: a: b\n"
                                "  train_transforms:\n"
                                "    - flip\n"
                                "    - crop:\n"
                                "        size: 8\n"
                                "    - blur\n"
                                "  workers: auto\n"
                                "threads: 2\n") == expected);
  const std::map<std::string, std::string> text = {{"0.1.0 of today", ""}};
  CHECK(vim::train::settings_of("0.1.0 of today") == text);
}
