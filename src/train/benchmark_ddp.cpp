#include "vim/train/benchmark_ddp.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "train/benchmark_report.h"
#include "train/device.h"
#include "train/stopwatch.h"
#include "train/synthetic.h"
#include "train/world.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"

namespace vim::train {
namespace {

class Measurement {
 public:
  Measurement(const RunConfig& config, int64_t batch, double seconds, const World& world)
      : config_(config), batch_(batch), seconds_(seconds), world_(world), group_(*world.group) {}

  void run(DdpBenchmarkResult& result) {
    group_.mark({"measuring one process", /*patience=*/true});
    result.alone = result.apart = result.together = alone(result.machine_shares);
    if (group_.size() == 1) return;
    group_.mark({"measuring without reduction", /*patience=*/true});
    result.apart = apart();
    group_.mark({"measuring with reduction", /*patience=*/true});
    together(result);
  }

 private:
  // On rank 0, with what belongs to all that share its cores.
  double alone(int shares) {
    double time = 0;
    if (group_.is_main()) {
      const int threads = at::get_num_threads();
      if (shares > 1) at::set_num_threads(threads * shares);
      SyntheticTraining training(config_, batch_ * shares, world_.device, nullptr);
      time = training.milliseconds(seconds_, nullptr);
      if (shares > 1) at::set_num_threads(threads);
    }
    group_.barrier();  // which waits longer than a broadcast
    return std::stod(group_.broadcast(std::to_string(time), 0));
  }

  double apart() {
    SyntheticTraining training(config_, batch_, world_.device, nullptr);
    return training.milliseconds(seconds_, &group_);
  }

  void together(DdpBenchmarkResult& result) {
    SyntheticTraining training(config_, batch_, world_.device, &group_);
    result.together = training.milliseconds(seconds_, &group_);
    std::vector<at::Tensor> buckets = training.empty_buckets();
    result.buckets = static_cast<int64_t>(buckets.size());
    for (const at::Tensor& bucket : buckets) result.bytes += static_cast<int64_t>(bucket.nbytes());
    group_.mark({"measuring the reduction", /*patience=*/true});
    result.reduction = median_milliseconds(
        [&] {
          for (at::Tensor& bucket : buckets) group_.all_reduce_sum(bucket);
        },
        seconds_, world_.device, &group_);
  }

  const RunConfig& config_;
  const int64_t batch_;
  const double seconds_;
  const World& world_;
  dist::ProcessGroup& group_;
};

template <class... Cells>
std::string row(const Cells&... cells) {
  constexpr int kWidths[] = {18, 9, 6, 6, 9, 11, 11, 10, 9, 9, 9, 11, 7};
  return line_of(kWidths, /*left=*/1, cells...);
}

std::string header() {
  return row("", "", "", "", "", "img/s", "img/s", "", "step, ms", "step, ms", "", "all-reduce",
             "") +
         row("model", "precision", "px", "batch", "processes", "of one", "of all", "efficiency",
             "apart", "together", "MB", "ms", "hidden");
}

std::string line(const DdpBenchmarkResult& r) {
  const bool one = r.processes == 1;
  return row(r.model, name_of(r.precision), r.image_size, r.batch, r.processes,
             fixed(r.images_per_second_alone(), 1), fixed(r.images_per_second(), 1),
             fixed(100 * r.efficiency(), 1) + " %", fixed(r.apart, 2), fixed(r.together, 2),
             one ? "-" : fixed(1e-6 * static_cast<double>(r.bytes), 1),
             one ? "-" : fixed(r.reduction, 2), one ? "-" : fixed(100 * r.hidden(), 0) + " %");
}

std::string as_json(const std::vector<DdpBenchmarkResult>& results) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const DdpBenchmarkResult& r : results) {
    list.push_back({{"model", r.model},
                    {"precision", name_of(r.precision)},
                    {"image_size", r.image_size},
                    {"batch_per_process", r.batch},
                    {"processes", r.processes},
                    {"processes_sharing_cores", r.machine_shares},
                    {"images_per_second_one", r.images_per_second_alone()},
                    {"images_per_second_all", r.images_per_second()},
                    {"efficiency", r.efficiency()},
                    {"step_alone_ms", r.alone},
                    {"step_apart_ms", r.apart},
                    {"step_together_ms", r.together},
                    {"all_reduce_ms", r.reduction},
                    {"gradient_bytes", r.bytes},
                    {"buckets", r.buckets},
                    {"hidden", r.hidden()}});
  }
  return list.dump(2) + "\n";
}

}  // namespace

double DdpBenchmarkResult::images_per_second_alone() const {
  return 1000.0 * static_cast<double>(batch * machine_shares) / alone;
}

double DdpBenchmarkResult::images_per_second() const {
  return 1000.0 * static_cast<double>(batch * processes) / together;
}

double DdpBenchmarkResult::efficiency() const {
  return images_per_second() * machine_shares / (images_per_second_alone() * processes);
}

double DdpBenchmarkResult::hidden() const {
  if (reduction <= 0) return 1;
  return 1 - std::clamp((together - apart) / reduction, 0.0, 1.0);
}

void benchmark_ddp(const DdpBenchmarkCommand& command) {
  const RunConfig& first = command.models.front().config;
  const World world = join_world(first);
  std::vector<DdpBenchmarkResult> results;
  world.group->run([&] {
    const bool is_main = world.group->is_main();
    at::set_num_threads(threads_of(first, *world.group));
    const auto stream = own_stream(world.device);
    if (is_main) std::cout << header() << std::flush;
    for (const BenchmarkCommand::Model& model : command.models) {
      const RunConfig& config = model.config;
      allow_tf32(config.train.precision);
      const std::vector<int64_t> batches =
          command.batches.empty() ? std::vector{config.data.batch_size} : command.batches;
      for (const int64_t batch : batches) {
        DdpBenchmarkResult result{};
        result.model = model.name;
        result.precision = config.train.precision;
        result.image_size = config.model.image_size.height;
        result.batch = batch;
        result.processes = world.group->size();
        result.machine_shares = world.device.is_cuda() ? 1 : world.group->core_sharers();
        Measurement(config, batch, command.seconds, world).run(result);
        if (is_main) std::cout << line(result) << std::flush;
        results.push_back(result);
      }
    }
    if (is_main && command.json) write_atomically(*command.json, as_json(results));
  });
}

}  // namespace vim::train
