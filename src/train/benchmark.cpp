#include "vim/train/benchmark.h"

#include <ATen/ATen.h>

#include <iostream>

#include "train/benchmark_report.h"
#include "train/device.h"
#include "train/device_graph.h"
#include "train/precision.h"
#include "train/stopwatch.h"
#include "train/synthetic.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"

namespace vim::train {
namespace {

// Each model at its fastest: images in the compute type, and a transformer's weights too, which
// needs no autocast. Beside Vim's activations they stay float32.
double time_inference(const RunConfig& config, int64_t batch, double seconds, at::Device device) {
  Synthetic task(config.model, device);
  task.model().eval();
  const at::NoGradGuard no_grad;
  const Precision precision = device.is_cuda() ? config.train.precision : Precision::kFp32;
  const bool converted = config.model.name == "vit";
  if (converted) task.model().to(compute_type(precision));
  const at::Tensor images = task.batch(batch)[0].to(compute_type(precision));
  const auto forward = [&] {
    const AutocastScope autocast(converted ? Precision::kFp32 : precision, device);
    task.model().forward(images);
  };
  if (!device.is_cuda() || !config.train.cuda_graph)
    return median_milliseconds(forward, seconds, device);
  for (int i = 0; i < 2; ++i) forward();  // what is made on first use is then there
  DeviceGraph graph;
  graph.record(forward);
  return median_milliseconds([&] { graph.replay(); }, seconds, device);
}

// Largest difference of scores in each precision, relative to the largest score: a few roundings of
// its numbers through the depth of a network.
double tolerance(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return 1e-4;
    case Precision::kTf32:
    case Precision::kFp16:
      return 2e-2;
    case Precision::kBf16:
      return 1e-1;
  }
  return 0;
}

void check_scores(const std::string& name, const RunConfig& config, at::Device device) {
  if (!device.is_cuda()) return;
  Synthetic task(config.model, at::kCPU);
  task.model().eval();
  const at::NoGradGuard no_grad;
  const at::Tensor image = task.batch(1)[0];
  const at::Tensor expected = task.model().forward(image);
  task.model().to(device);
  const AutocastScope autocast(config.train.precision, device);
  const at::Tensor got = task.model().forward(image.to(device)).cpu().to(at::kFloat);
  const double error = ((got - expected).abs().max() / expected.abs().max()).item<double>();
  if (!(error < tolerance(config.train.precision))) {
    throw Error(concat(name, ": the scores on the GPU differ from the CPU's by ", error,
                       " of the largest; the kernels are wrong, or the precision too low"));
  }
}

BenchmarkResult measure_model(const BenchmarkCommand::Model& model, BenchmarkMode mode,
                              int64_t batch, double seconds, at::Device device) {
  const RunConfig& config = model.config;
  BenchmarkResult result{model.name,
                         describe(device),
                         mode,
                         config.train.precision,
                         config.model.image_size.height,
                         config.model.tokens(),
                         batch};
  const PeakMemory memory(device);
  try {
    result.milliseconds =
        mode == BenchmarkMode::kTrain
            ? SyntheticTraining(config, batch, device, nullptr).milliseconds(seconds, nullptr)
            : time_inference(config, batch, seconds, device);
    result.images_per_second = 1000 * static_cast<double>(batch) / result.milliseconds;
    result.memory = memory.bytes();
  } catch (const c10::OutOfMemoryError&) {
    result.fits = false;
  }
  return result;
}

}  // namespace

void benchmark(const BenchmarkCommand& command) {
  std::vector<BenchmarkResult> results;
  std::cout << table_header();
  for (BenchmarkCommand::Model model : command.models) {
    RunConfig& config = model.config;
    const c10::Device device = choose_device(config.device);
    allow_tf32(config.train.precision);
    const auto stream = own_stream(device);
    check_scores(model.name, config, device);
    const std::vector<int64_t> sizes = command.image_sizes.empty()
                                           ? std::vector{config.model.image_size.height}
                                           : command.image_sizes;
    const std::vector<int64_t> batches =
        command.batches.empty() ? std::vector{config.data.batch_size} : command.batches;
    for (const int64_t size : sizes) {
      config.model.image_size = {size, size};
      for (const int64_t batch : batches) {
        for (const BenchmarkMode mode : command.modes) {
          results.push_back(measure_model(model, mode, batch, command.seconds, device));
          std::cout << table_row(results.back()) << std::flush;
        }
      }
    }
  }
  if (command.json) write_atomically(*command.json, as_json(results));
  if (command.svg) write_atomically(*command.svg, as_svg(results));
}

}  // namespace vim::train
