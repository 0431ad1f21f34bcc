#include "vim/data/loader.h"

#include <ATen/ATen.h>
#include <malloc.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "data/images.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/data/sample.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;
using Catch::Contains;

namespace {

// Images made from their ids; it counts reads, takes irregular times, and refuses the ids it is
// told to.
class MadeImages : public Dataset {
 public:
  explicit MadeImages(int64_t size, std::set<int64_t> broken = {},
                      std::atomic<int64_t>* reads = nullptr)
      : size_(size), broken_(std::move(broken)), reads_(reads) {}
  int64_t size() const override { return size_; }
  Sample read(int64_t id) const override {
    if (reads_ != nullptr) ++*reads_;
    std::this_thread::sleep_for(std::chrono::microseconds(id * 37 % 200));
    if (broken_.contains(id)) throw vim::Error(name(id) + ": broken");
    return {random_image(12, 12, 3, id), id % 5, id};
  }
  std::string name(int64_t id) const override { return "image " + std::to_string(id); }
  const std::vector<std::string>& classes() const override { return classes_; }

 private:
  int64_t size_;
  std::set<int64_t> broken_;
  std::atomic<int64_t>* reads_;
  std::vector<std::string> classes_ = {"a", "b", "c", "d", "e"};
};

const Pipeline kPipeline = {{RandomResizedCrop{}, PaddedShift{1}, Flip{}}, {8, 8}};

std::vector<Batch> rest_of_epoch(Loader& loader) {
  std::vector<Batch> batches;
  while (auto batch = loader.next()) batches.push_back(*std::move(batch));
  return batches;
}

std::vector<Batch> epoch_of(const LoaderOptions& options, int64_t epoch, int64_t first = 0,
                            int64_t size = 203) {
  Loader loader(std::make_unique<MadeImages>(size), kPipeline, options);
  loader.begin(epoch, first);
  return rest_of_epoch(loader);
}

void check_same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].index == b[i].index);
    CHECK(at::equal(a[i].ids, b[i].ids));
    CHECK(at::equal(a[i].labels, b[i].labels));
    CHECK(at::equal(a[i].images, b[i].images));
  }
}

std::multiset<int64_t> ids(const std::vector<Batch>& batches) {
  std::multiset<int64_t> result;
  for (const Batch& batch : batches) {
    for (int64_t i = 0; i < batch.ids.size(0); ++i) result.insert(batch.ids[i].item<int64_t>());
  }
  return result;
}

}  // namespace

TEST_CASE("Batches do not depend on the number of workers or the prefetch") {
  const uint64_t seed = fresh_seed();
  const auto expected = epoch_of({.batch_size = 20, .seed = seed}, 3);
  REQUIRE(expected.size() == 10);
  CHECK(expected[0].images.sizes() == at::IntArrayRef({20, 8, 8, 3}));
  CHECK(expected[0].images.scalar_type() == at::kByte);
  CHECK(at::equal(expected[4].labels, expected[4].ids.remainder(5)));
  for (const int64_t workers : {2, 5, 16}) {
    for (const int64_t prefetch : {1, 3, 30}) {
      check_same(
          epoch_of({.batch_size = 20, .workers = workers, .prefetch = prefetch, .seed = seed}, 3),
          expected);
    }
  }
  CHECK(!at::equal(epoch_of({.batch_size = 20, .seed = seed}, 4)[0].ids, expected[0].ids));
  CHECK(!at::equal(epoch_of({.batch_size = 20, .seed = seed + 1}, 3)[0].ids, expected[0].ids));
}

TEST_CASE("An epoch begun at batch k is its tail, and what went before is not read") {
  const LoaderOptions options = {.batch_size = 20, .workers = 3, .seed = 9};
  auto expected = epoch_of(options, 1);
  std::atomic<int64_t> reads = 0;
  Loader loader(std::make_unique<MadeImages>(203, std::set<int64_t>{}, &reads), kPipeline, options);
  loader.begin(1, 7);
  check_same(rest_of_epoch(loader), {expected.begin() + 7, expected.end()});
  CHECK(reads == 60);
  CHECK(!loader.next());
  loader.begin(1, 10);
  CHECK(!loader.next());
}

TEST_CASE("One loader goes from epoch to epoch, also from the middle of one") {
  const LoaderOptions options = {.batch_size = 20, .workers = 3, .prefetch = 2, .seed = 9};
  Loader loader(std::make_unique<MadeImages>(203), kPipeline, options);
  for (int64_t epoch = 0; epoch < 6; ++epoch) {
    loader.begin(epoch);
    if (epoch % 2 == 0) {
      for (int64_t i = 0; i < epoch; ++i) loader.next();
    } else {
      check_same(rest_of_epoch(loader), epoch_of(options, epoch));
    }
  }
}

TEST_CASE("A batch that the caller keeps stays as it is; one that was dropped gives its memory") {
  const LoaderOptions options = {.batch_size = 20, .workers = 2, .prefetch = 2, .seed = 1};
  Loader loader(std::make_unique<MadeImages>(2003), kPipeline, options);
  loader.begin(0);
  const at::Tensor kept = loader.next()->images[3];  // a view is enough to keep it
  const at::Tensor copy = kept.clone();
  std::set<const void*> buffers;
  while (const auto batch = loader.next()) buffers.insert(batch->images.const_data_ptr());
  CHECK(at::equal(kept, copy));
  CHECK(!buffers.contains(static_cast<const uint8_t*>(kept.const_data_ptr()) - 3 * 8 * 8 * 3));
  CHECK(buffers.size() <= 4);  // of 99 batches
}

TEST_CASE("Memory does not grow with the number of epochs") {
  Loader loader(std::make_unique<MadeImages>(203), kPipeline,
                {.batch_size = 20, .workers = 3, .prefetch = 3});
  const auto heap_after = [&](int64_t first, int64_t last) {
    for (int64_t epoch = first; epoch < last; ++epoch) {
      loader.begin(epoch);
      rest_of_epoch(loader);
    }
    const struct mallinfo2 info = mallinfo2();
    return static_cast<int64_t>(info.uordblks + info.hblkhd);
  };
  const int64_t early = heap_after(0, 5);
  CHECK(heap_after(5, 60) - early < 64 << 10);
}

TEST_CASE("Evaluation covers every image once over the ranks, in order and unpadded") {
  for (const int64_t world : {1, 3}) {
    std::multiset<int64_t> seen;
    for (int64_t rank = 0; rank < world; ++rank) {
      const LoaderOptions options = {
          .training = false, .batch_size = 16, .workers = 2, .rank = rank, .world = world};
      const auto batches = epoch_of(options, 0);
      Loader loader(std::make_unique<MadeImages>(203), kPipeline, options);
      CHECK(loader.batches_per_epoch() == static_cast<int64_t>(batches.size()));
      seen.merge(ids(batches));
    }
    CHECK(seen.size() == 203);
    CHECK(std::set(seen.begin(), seen.end()).size() == 203);
  }
}

TEST_CASE("A rank without images and a set smaller than a batch have no batches") {
  CHECK(epoch_of({.training = false, .batch_size = 4, .rank = 2, .world = 3}, 0, 0, 2).empty());
  CHECK(epoch_of({.batch_size = 4}, 0, 0, 3).empty());
}

TEST_CASE(
    "An image that cannot be read stops the epoch at its batch, with its name and the way out") {
  const std::set<int64_t> broken = {30, 31, 35};
  for (const int64_t workers : {1, 4}) {
    Loader loader(std::make_unique<MadeImages>(100, broken), kPipeline,
                  {.training = false, .batch_size = 10, .workers = workers});
    loader.begin(0);
    for (int i = 0; i < 3; ++i) CHECK(loader.next()->index == i);
    CHECK_THROWS_WITH(loader.next(), Contains("image 30: broken") && Contains("data.on_error"));
    CHECK_THROWS_AS(loader.next(), vim::Error);
    loader.begin(0, 4);
    CHECK(loader.next()->index == 4);
  }
}

TEST_CASE("Skipping replaces an unreadable training image by the next, and counts files once") {
  const std::set<int64_t> broken = {30, 31, 99};
  const LoaderOptions options = {
      .batch_size = 10, .workers = 3, .on_error = OnError::kSkip, .seed = 3};
  Loader loader(std::make_unique<MadeImages>(100, broken), kPipeline, options);
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    loader.begin(epoch);
    auto seen = ids(rest_of_epoch(loader));
    CHECK(seen.size() == 100);
    CHECK(seen.count(32) == 3);
    CHECK(seen.count(0) == 2);
    for (const int64_t id : broken) CHECK(seen.count(id) == 0);
  }
  CHECK(loader.skipped() == 3);
}

TEST_CASE("Skipping leaves an unreadable evaluation image out") {
  std::set<int64_t> broken = {3, 99};
  for (int64_t id = 20; id < 30; ++id) broken.insert(id);  // a whole batch
  Loader loader(std::make_unique<MadeImages>(100, broken), kPipeline,
                {.training = false, .batch_size = 10, .workers = 3, .on_error = OnError::kSkip});
  loader.begin(0);
  const auto batches = rest_of_epoch(loader);
  CHECK(batches.size() == 9);
  const auto seen = ids(batches);
  CHECK(seen.size() == 88);
  for (const int64_t id : broken) CHECK(seen.count(id) == 0);
  for (const Batch& batch : batches) {
    CHECK(batch.images.size(0) == batch.ids.size(0));
    CHECK(at::equal(batch.labels, batch.ids.remainder(5)));
  }
  CHECK(loader.skipped() == 12);
}

TEST_CASE("A set that cannot be read at all is an error even when skipping") {
  vim::log::set_level(vim::log::Level::kError);  // not a line for each of them
  std::set<int64_t> broken;
  for (int64_t id = 0; id < 300; ++id) broken.insert(id);
  Loader loader(std::make_unique<MadeImages>(300, broken), kPipeline,
                {.batch_size = 10, .workers = 1, .on_error = OnError::kSkip});
  loader.begin(0);
  CHECK_THROWS_WITH(loader.next(), Contains("cannot be read"));
  vim::log::set_level(vim::log::Level::kInfo);
}

TEST_CASE("Images of different sizes in a batch are an error that says what to change") {
  const ScratchFolder folder;
  fs::create_directories(folder / "train/cat");
  write_png(folder / "train/cat/1.png", random_image(8, 8, 3, 1));
  write_jpeg(folder / "train/cat/2.jpg", random_image(9, 8, 3, 1));
  DataConfig config;
  config.root = folder.path().string();
  config.batch_size = 2;
  config.train_transforms = {Flip{}};
  const auto loader = open_loader(config, Split::kTrain, {});
  loader->begin(0);
  CHECK_THROWS_WITH(loader->next(), Contains("train/cat/") && Contains("data.train_transforms"));
}

TEST_CASE("A loader may be destroyed at any time") {
  for (int i = 0; i < 30; ++i) {
    Loader loader(std::make_unique<MadeImages>(200), kPipeline,
                  {.batch_size = 10, .workers = 4, .prefetch = 2});
    if (i % 3 != 0) loader.begin(0);
    if (i % 3 == 2) loader.next();
  }
}
