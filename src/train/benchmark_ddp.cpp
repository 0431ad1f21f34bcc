#include "vim/train/benchmark_ddp.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "train/benchmark_report.h"
#include "train/device.h"
#include "train/synthetic.h"
#include "train/train_step.h"
#include "train/world.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
#include "vim/dist/data_parallel.h"

namespace vim::train {
namespace {

using Work = std::function<void()>;

constexpr int kRounds = 9;  // each of as many calls as fit into its share of the time

// Calls; on a GPU, a step of several processes records its graph in the twelfth.
int warmup_of(at::Device device) {
  return device.is_cuda() ? 14 : 2;
}

double time_calls(const Work& work, int calls, at::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  const auto wait = [&] {
    if (device.is_cuda()) guard.synchronizeDevice(device.index());
  };
  wait();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) work();
  wait();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Milliseconds of a call by this process alone.
double measure(const Work& work, double seconds, at::Device device) {
  time_calls(work, warmup_of(device), device);
  const double once = time_calls(work, 1, device);
  const int calls = std::max(1, static_cast<int>(1000 * seconds / kRounds / std::max(once, 1e-3)));
  std::vector<double> rounds;
  for (int i = 0; i < kRounds; ++i) rounds.push_back(time_calls(work, calls, device) / calls);
  return median(std::move(rounds));
}

// Milliseconds of a call by all processes at once: they make equally many, and each round starts
// and ends for all together.
double measure(const Work& work, double seconds, at::Device device, dist::ProcessGroup& group) {
  time_calls(work, warmup_of(device), device);
  const double once = time_calls(work, 1, device);
  const int own = std::max(1, static_cast<int>(1000 * seconds / kRounds / std::max(once, 1e-3)));
  const int calls = std::stoi(group.broadcast(std::to_string(own), 0));
  std::vector<double> rounds;
  for (int i = 0; i < kRounds; ++i) {
    group.barrier();
    double slowest = 0;
    for (const std::string& text :
         group.all_gather(std::to_string(time_calls(work, calls, device) / calls))) {
      slowest = std::max(slowest, std::stod(text));
    }
    rounds.push_back(slowest);
  }
  return median(std::move(rounds));
}

// A model with all that a step of its training needs. `group` is null for a process by itself.
struct Training {
  Training(const RunConfig& config, int64_t batch, at::Device device, dist::ProcessGroup* group)
      : task(config.model, device),
        optimizer(task.model(), config.optim),
        inputs(task.batch(batch)) {
    task.model().train();
    if (config.ema.enabled) ema.emplace(task.model(), config.ema.decay);
    if (group != nullptr) parallel.emplace(task.model(), *group, config.dist);
    step.emplace(config, task, optimizer, ema ? &*ema : nullptr, parallel ? &*parallel : nullptr);
  }
  Work work() {
    return [this] { step->run({inputs}, 1e-4); };
  }

  Synthetic task;
  AdamW optimizer;
  tasks::Inputs inputs;
  std::optional<Ema> ema;
  std::optional<dist::DataParallel> parallel;
  std::optional<TrainStep> step;
};

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
      Training training(config_, batch_ * shares, world_.device, nullptr);
      time = measure(training.work(), seconds_, world_.device);
      if (shares > 1) at::set_num_threads(threads);
    }
    group_.barrier();  // which waits longer than a broadcast
    return std::stod(group_.broadcast(std::to_string(time), 0));
  }

  double apart() {
    Training training(config_, batch_, world_.device, nullptr);
    return measure(training.work(), seconds_, world_.device, group_);
  }

  void together(DdpBenchmarkResult& result) {
    Training training(config_, batch_, world_.device, &group_);
    result.together = measure(training.work(), seconds_, world_.device, group_);
    std::vector<at::Tensor> buckets = training.parallel->empty_buckets();
    result.buckets = static_cast<int64_t>(buckets.size());
    for (const at::Tensor& bucket : buckets) result.bytes += static_cast<int64_t>(bucket.nbytes());
    group_.mark({"measuring the reduction", /*patience=*/true});
    result.reduction = measure(
        [&] {
          for (at::Tensor& bucket : buckets) group_.all_reduce_sum(bucket);
        },
        seconds_, world_.device, group_);
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
