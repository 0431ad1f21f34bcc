#include "train/schedule.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/catch.h"
#include "support/support.h"

using namespace vim::train;

TEST_CASE("The cosine with warm-up is timm's, at every schedule time") {
  const auto path = vim::test::fixture("data/learning_rate.json");
  if (!std::filesystem::exists(path)) VIM_SKIP("no fixtures");
  std::ifstream file(path);
  const auto cases = nlohmann::json::parse(file);
  REQUIRE(!cases.empty());
  for (const auto& [name, expected] : cases.items()) {
    CAPTURE(name);
    const auto& rates = expected.at("lr_of_schedule_time");
    const CosineLr schedule{.cycle = expected.at("t_initial"),
                            .warmup = expected.at("warmup_t"),
                            .warmup_prefix = expected.value("warmup_prefix", false),
                            .warmup_lr = expected.at("warmup_lr_init"),
                            .peak_lr = expected.at("peak_lr"),
                            .min_lr = expected.at("lr_min")};
    for (size_t t = 0; t < rates.size(); ++t) {
      CAPTURE(t);
      CHECK(schedule.at(static_cast<double>(t)) == Approx(rates[t].get<double>()).epsilon(1e-9));
    }
  }
}

TEST_CASE(
    "The official trace trains epochs 0 and 1 at the warm-up rate, and is constant within an "
    "epoch") {
  ScheduleConfig config;
  config.per_epoch = true;
  config.lr_epoch_offset = true;
  const Schedule schedule{config, 1e-3, 1251, 300};
  CHECK(schedule.lr(0) == Approx(1e-6));
  CHECK(schedule.lr(1251) == Approx(1e-6));
  CHECK(schedule.lr(2 * 1251) == Approx(2.008e-4));
  CHECK(schedule.lr(3 * 1251 - 1) == Approx(2.008e-4));
  CHECK(schedule.lr(6 * 1251) == Approx(9.9932e-4).epsilon(1e-5));
  CHECK(schedule.lr(150 * 1251) == Approx(5.1018e-4).epsilon(1e-5));
  CHECK(schedule.lr(299 * 1251) == Approx(1.0109e-5).epsilon(1e-4));
}

TEST_CASE(
    "Per step, the rate agrees with the per-epoch one where an epoch begins and moves in between") {
  const Schedule steps{{}, 1e-3, 100, 30};
  ScheduleConfig per_epoch;
  per_epoch.per_epoch = true;
  const Schedule epochs{per_epoch, 1e-3, 100, 30};
  for (int64_t epoch = 0; epoch < 30; ++epoch) {
    CAPTURE(epoch);
    CHECK(steps.lr(100 * epoch) == Approx(epochs.lr(100 * epoch)));
    CHECK(steps.lr(100 * epoch + 50) != epochs.lr(100 * epoch + 50));
  }
}

TEST_CASE("With a prefix the cosine begins at the peak and ends at the minimum") {
  ScheduleConfig config;
  config.warmup_prefix = true;
  const Schedule schedule{config, 1e-3, 100, 30};
  CHECK(schedule.lr(5 * 100) == Approx(1e-3));
  CHECK(schedule.lr(30 * 100) == Approx(1e-5));
  CHECK(schedule.lr(1750) == Approx((1e-3 + 1e-5) / 2));
}

TEST_CASE("The learning rate is scaled in proportion to the global batch, or not at all") {
  OptimConfig config;
  CHECK(scaled_lr(config, 1024) == Approx(1e-3));
  config.lr_base_batch = 0;
  CHECK(scaled_lr(config, 1024) == Approx(5e-4));
}
