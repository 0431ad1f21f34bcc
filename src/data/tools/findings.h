// What `vim-data check` finds, and how it is told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/tools/inventory.h"
#include "data/tools/probe.h"
#include "vim/config/leaf.h"

namespace vim::data {

// The most serious first.
enum class Problem {
  kBroken,
  kLeak,
  kTwoClasses,
  kWrongName,
  kDuplicate,
  kLookAlike,
  kMirrored,
  kEmptyClass,
  kMissingClass,
  kTinyClass,
  kNotRead,
  kRotated,
  kCmyk,
  kGrey,
  kExtremeSize
};

struct Finding {
  Problem problem;
  std::string message;
  std::vector<size_t> items;  // of the inventory; none where it is about a class
};

struct Report {
  const Inventory& inventory;
  std::vector<Finding> findings;  // in the order of Problem
};

// `facts` of each item.
Report find_problems(const Inventory& inventory, const std::vector<FileFacts>& facts,
                     int64_t min_per_class);

std::string as_text(const Report& report);
std::string as_json(const Report& report);
std::string as_html(const Report& report);  // with thumbnails; reads the images again

}  // namespace vim::data

namespace vim::config {

template <>
inline constexpr auto enum_names<data::Problem> =
    named<data::Problem>({{data::Problem::kBroken, "broken"},
                          {data::Problem::kLeak, "leak"},
                          {data::Problem::kTwoClasses, "two_classes"},
                          {data::Problem::kWrongName, "wrong_name"},
                          {data::Problem::kDuplicate, "duplicate"},
                          {data::Problem::kLookAlike, "look_alike"},
                          {data::Problem::kMirrored, "mirrored"},
                          {data::Problem::kEmptyClass, "empty_class"},
                          {data::Problem::kMissingClass, "missing_class"},
                          {data::Problem::kTinyClass, "tiny_class"},
                          {data::Problem::kNotRead, "not_read"},
                          {data::Problem::kRotated, "rotated"},
                          {data::Problem::kCmyk, "cmyk"},
                          {data::Problem::kGrey, "grey"},
                          {data::Problem::kExtremeSize, "extreme_size"}});

}  // namespace vim::config
