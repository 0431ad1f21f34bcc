#include "vim/data/config.h"

#include <catch2/catch.hpp>

#include "vim/config/config.h"
#include "vim/core/error.h"

using namespace vim::data;
using Catch::Contains;

namespace {

DataConfig read(const std::string& text) {
  return vim::config::load_text<DataConfig>(text, "x.yaml");
}

}  // namespace

TEST_CASE("A data section with transforms is read, and written back the same") {
  const DataConfig config = read(R"(
format: idx
root: /data
channels: 1
workers: 3
on_error: skip
mean: [0.286]
std: [0.353]
train_transforms:
  - random_resized_crop: {size: 32, scale: [0.5, 1], filter: bilinear}
  - padded_shift: 2
  - flip
eval_transforms: []
)");
  CHECK(config.format == Format::kIdx);
  CHECK(config.workers == 3);
  CHECK(config.on_error == OnError::kSkip);
  CHECK(config.train_transforms ==
        std::vector<Transform>{
            RandomResizedCrop{.size = 32, .scale = {0.5, 1}, .filter = Filter::kBilinear},
            PaddedShift{2}, Flip{}});
  CHECK(config.eval_transforms.empty());
  CHECK(read(vim::config::dump(config)) == config);

  const DataConfig defaults = read("root: x");
  CHECK(read(vim::config::dump(defaults)) == defaults);
}

TEST_CASE("Rules across fields are located") {
  CHECK_THROWS_WITH(read("root: x\nchannels: 1"), Contains("mean: expected one number"));
  CHECK_THROWS_WITH(read("root: x\nmean: [0.5]"), Contains("x.yaml:2") && Contains("got 1"));
  CHECK_THROWS_WITH(read("root: x\nchannels: 2\nmean: [1, 1]\nstd: [1, 1]"),
                    Contains("expected 1 or 3"));
  CHECK_THROWS_WITH(read("root: x\nstd: [1, 0, 1]"), Contains("std"));
  CHECK_THROWS_WITH(read("root: x\ntrain_transforms:\n  - random_resized_crop: {scale: [1, 0.1]}"),
                    Contains("x.yaml:3") && Contains("scale"));
  CHECK_THROWS_AS(read("channels: 3"), vim::UsageError);
}
