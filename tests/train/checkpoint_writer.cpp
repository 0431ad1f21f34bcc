#include "train/checkpoint_writer.h"

#include <ATen/ATen.h>

#include "support/catch.h"
#include "support/support.h"
#include "vim/core/error.h"

namespace fs = std::filesystem;
using namespace vim::train;

namespace {

Checkpoint at_step(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.config = "seed: 1\n";
  checkpoint.version = "test";
  checkpoint.progress.step = step;
  checkpoint.model = {{"w", at::full({1000}, static_cast<double>(step))}};
  return checkpoint;
}

int64_t step_in(const fs::path& path) {
  return load_checkpoint(path).progress.step;
}

}  // namespace

TEST_CASE("As many of the newest checkpoints stay as asked for, the others where they were put") {
  const vim::test::ScratchFolder scratch;
  const RunFolder folder(scratch.path());
  folder.create("");
  {
    CheckpointWriter writer(folder, {.keep_last = 3});
    for (int64_t step = 1; step <= 5; ++step) {
      writer.write(
          step == 2 ? std::vector<std::string>{"best", "last"} : std::vector<std::string>{"last"},
          at_step(step));
    }
    writer.finish();
  }
  CHECK(step_in(folder.checkpoint("last")) == 5);
  CHECK(step_in(folder.checkpoint("previous")) == 4);
  CHECK(step_in(folder.checkpoint("previous_2")) == 3);
  CHECK(step_in(folder.checkpoint("best")) == 2);
  CHECK(std::distance(fs::directory_iterator(folder.checkpoints()), {}) == 4);
}

TEST_CASE("A checkpoint holds the tensors as they were when it was asked for") {
  const vim::test::ScratchFolder scratch;
  const RunFolder folder(scratch.path());
  folder.create("");
  const Checkpoint checkpoint = at_step(7);
  CheckpointWriter writer(folder, {});
  writer.write({"last"}, checkpoint);
  checkpoint.model.at("w").fill_(-1);
  writer.finish();
  CHECK(load_checkpoint(folder.checkpoint("last")).model.at("w").equal(at::full({1000}, 7.0)));
}

TEST_CASE("Where a checkpoint cannot be written, training stops or goes on, and older ones stay") {
  const vim::test::ScratchFolder scratch;
  const RunFolder folder(scratch.path());
  folder.create("");
  const bool stop = GENERATE(true, false);
  CheckpointWriter writer(folder, {.on_error = stop ? OnSaveError::kStop : OnSaveError::kContinue});
  writer.write({"last"}, at_step(1));
  writer.finish();
  fs::create_directory(folder.checkpoint("next").string() + ".tmp");  // where the file would go
  writer.write({"last"}, at_step(2));
  if (stop) {
    CHECK_THROWS_WITH(writer.finish(), Catch::Contains("next.safetensors.tmp: cannot create"));
  } else {
    writer.rethrow();
    CHECK_THROWS_AS(writer.finish(), vim::Error);  // of the newest one, at the end
  }
  CHECK(step_in(folder.checkpoint("last")) == 1);
  fs::remove(folder.checkpoint("next").string() + ".tmp");
  writer.write({"last"}, at_step(3));
  writer.finish();
  CHECK(step_in(folder.checkpoint("last")) == 3);
}

TEST_CASE("A checkpoint that was whole when a crash kept it from its name is found") {
  const vim::test::ScratchFolder scratch;
  const RunFolder folder(scratch.path());
  folder.create("");
  save_checkpoint(folder.checkpoint("previous"), at_step(1));
  save_checkpoint(folder.checkpoint("next"), at_step(2));
  CHECK(newest_checkpoint(folder.checkpoints())->checkpoint.progress.step == 2);
}
