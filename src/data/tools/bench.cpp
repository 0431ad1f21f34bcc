#include <ATen/Parallel.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <thread>

#include "data/tools/bench_stages.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/stop.h"
#include "vim/core/text.h"
#include "vim/data/commands.h"
#include "vim/data/image.h"
#include "vim/data/loader.h"

namespace vim::data {
namespace {

using Clock = std::chrono::steady_clock;

// The files of a folder, again and again, as long as an epoch is to be.
class Memory : public Dataset {
 public:
  Memory(const BenchFiles& files, int64_t size) : files_(files), size_(size) {}
  int64_t size() const override { return size_; }
  Sample get(int64_t id) const override { return {decode_image(nth(files_.bytes, id)), 0, id}; }
  Sample read(int64_t id) const override { return encoded_sample(nth(files_.bytes, id), id); }
  std::string name(int64_t id) const override { return nth(files_.paths, id).string(); }
  const std::vector<std::string>& classes() const override { return classes_; }

 private:
  const BenchFiles& files_;
  int64_t size_;
  std::vector<std::string> classes_ = {"0"};
};

// Images in a second of this process's time on a core: what else the machine does has less of a say
// than in a second of the clock on the wall.
double one_core(const BenchStage& stage, double seconds) {
  const BenchWork work = stage.begin();
  for (int64_t i = 0; i < kBenchBatch; ++i) work(i);
  const std::clock_t start = std::clock();
  double passed = 0;
  int64_t done = 0;
  while (passed < seconds) {
    for (int64_t i = 0; i < kBenchBatch; ++i) work(done++);
    passed = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  }
  return static_cast<double>(done) / passed;
}

// Images in a second of the clock, of threads that know nothing of each other.
double all_cores(const BenchStage& stage, int64_t workers, double seconds) {
  std::atomic<int64_t> done = 0;
  const Clock::time_point start = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  {
    std::vector<std::jthread> threads;
    for (int64_t worker = 0; worker < workers; ++worker) {
      threads.emplace_back([&, worker] {
        const BenchWork work = stage.begin();
        for (int64_t i = worker * kBenchBatch; passed() < seconds; i += workers * kBenchBatch) {
          for (int64_t k = 0; k < kBenchBatch; ++k) work(i + k);
          done += kBenchBatch;
        }
      });
    }
  }
  return static_cast<double>(done) / passed();
}

double loader_rate(const BenchFiles& files, const DataConfig& config, int64_t workers,
                   double seconds) {
  const LoaderOptions options = {
      .batch_size = kBenchBatch, .workers = workers, .prefetch = 2 * workers};
  Loader loader(std::make_unique<Memory>(files, int64_t{1} << 20),
                Pipeline{config.train_transforms, kBenchInput}, options);
  loader.begin(0);
  loader.next();
  const Clock::time_point start = Clock::now();
  double passed = 0;
  int64_t done = 0;
  while (passed < seconds) {
    done += loader.next()->images.size(0);
    passed = std::chrono::duration<double>(Clock::now() - start).count();
  }
  return static_cast<double>(done) / passed;
}

// Told line by line, since a figure takes seconds; written as JSON at the end.
class Results {
 public:
  Results(const BenchFiles& files, const BenchCommand& command) : command_(command) {
    const auto count = static_cast<double>(files.paths.size());
    json_ = {{"images", files.paths.size()},
             {"kilobytes", 1000 * files.megabytes / count},
             {"pixels", files.pixels / count},
             {"cores", command.workers}};
    std::cout << concat(files.paths.size(), " images of ", fixed(1000 * files.megabytes / count, 0),
                        " kB and ", fixed(files.pixels / count, 0),
                        " pixels; images/s of one core's time, and by the clock of ",
                        command.workers, command.workers == 1 ? " thread\n" : " threads\n");
  }
  void add(const std::string& name, double one, double all) {
    json_["images_per_second"][name] = {{"one_core", one}, {"all_cores", all}};
    line(name, fixed(one, 0), all);
  }
  void add_loader(int64_t workers, double rate) {
    json_["loader"][std::to_string(workers)] = rate;
    line(concat("loader, DeiT recipe, ", workers, workers == 1 ? " worker" : " workers"), "", rate);
  }
  void finish() const {
    if (command_.json) write_atomically(*command_.json, json_.dump(2) + "\n");
  }

 private:
  static constexpr int kName = 38, kFigure = 10;
  void line(const std::string& name, const std::string& one, double all) const {
    std::cout << std::left << std::setw(kName) << name << std::right << std::setw(kFigure) << one
              << std::setw(kFigure) << fixed(all, 0) << std::endl;
  }

  const BenchCommand& command_;
  nlohmann::ordered_json json_;
};

void end_if_asked() {
  if (const int signal = stop_requested()) throw Stopped("stopped", signal);
}

}  // namespace

void bench(const BenchCommand& c) {
  const BenchFiles files = load_bench_files(c.root);
  at::set_num_threads(1);
  cv::setNumThreads(0);
  Results results(files, c);
  for (const BenchStage& stage : bench_stages(files)) {
    results.add(stage.name, one_core(stage, c.seconds), all_cores(stage, c.workers, c.seconds));
    end_if_asked();
  }
  for (int64_t workers = 1; workers <= c.workers; workers *= 2) {
    results.add_loader(
        workers, loader_rate(files, bench_recipe(true, Decoding::kExact), workers, c.seconds));
    end_if_asked();
  }
  results.finish();
}

}  // namespace vim::data
