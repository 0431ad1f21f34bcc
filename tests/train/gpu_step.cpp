// The training step on a GPU: the numbers of the CPU, the same with and without a recorded graph,
// and nothing that waits for the device.
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#ifdef VIM_WITH_CUDA
#include <c10/cuda/CUDAFunctions.h>
#endif

#include <cmath>
#include <limits>

#include "support/catch.h"
#include "support/support.h"
#include "train/synthetic.h"
#include "train/train_step.h"
#include "vim/nn/model.h"

using vim::train::Precision;

namespace {

struct Outcome {
  std::vector<double> losses;
  std::map<std::string, at::Tensor> weights;  // of the model, and of the average
  vim::train::FiniteGuard::Report report;
  vim::nn::Weights kept, before_bad;  // the guard's, and what it should have kept
};

struct Setting {
  at::DeviceType device;
  Precision precision = Precision::kFp32;
  bool graph = false;
  int64_t steps = 6;
  bool forbid_waiting = false;
  int64_t bad_step = -1;  // one whose images are not finite
};

void forbid_waiting(bool forbidden) {
#ifdef VIM_WITH_CUDA
  c10::cuda::warning_state().set_sync_debug_mode(forbidden ? c10::cuda::SyncDebugMode::L_ERROR
                                                           : c10::cuda::SyncDebugMode::L_DISABLED);
#else
  (void)forbidden;
#endif
}

Outcome train(uint64_t seed, const Setting& setting) {
  vim::train::RunConfig config;
  config.model.image_size = {32, 32};
  config.model.patch_size = 8;
  config.model.embed_dim = 64;
  config.model.depth = 3;
  config.model.num_classes = 10;
  config.model.drop_path_rate = setting.device == at::kCUDA && setting.steps == 6 ? 0.2 : 0;
  config.optim.clip_grad = 1;
  config.train.precision = setting.precision;
  config.train.cuda_graph = setting.graph;
  config.train.accumulation = 2;
  config.ema.decay = 0.9;
  vim::train::allow_tf32(setting.precision);

  const c10::Device device(setting.device, 0);
  std::optional<c10::StreamGuard> stream;
  if (device.is_cuda()) {
    stream.emplace(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device));
  }
  at::manual_seed(seed);
  vim::train::Synthetic task(config.model, device);
  vim::train::AdamW optimizer(task.model(), config.optim);
  vim::train::Ema ema(task.model(), config.ema.decay);
  vim::train::TrainStep step(config, task, optimizer, &ema);
  std::vector<vim::tasks::Inputs> batches;
  for (int64_t i = 0; i < 2 * setting.steps; ++i) batches.push_back(task.batch(8));
  if (setting.bad_step >= 0) {
    batches[2 * setting.bad_step + 1][0][0].fill_(std::numeric_limits<double>::quiet_NaN());
  }
  std::vector<at::Tensor> losses;
  Outcome outcome;
  for (int64_t i = 0; i < setting.steps; ++i) {
    at::manual_seed(seed + i);
    if (i == setting.bad_step) {
      for (const auto& [name, tensor] : optimizer.parameters()) {
        outcome.before_bad.emplace(name, tensor.detach().clone());
      }
    }
    // The first steps allocate, for which the device may be waited for.
    if (setting.forbid_waiting && i == 3) forbid_waiting(true);
    losses.push_back(step.run({batches[2 * i], batches[2 * i + 1]}, 1e-3).clone());
  }
  forbid_waiting(false);
  outcome.report = step.guard().report();
  outcome.kept = step.guard().kept();
  for (const at::Tensor& loss : losses) outcome.losses.push_back(loss.item<double>());
  for (const auto& entry : task.model().named_parameters()) {
    outcome.weights.emplace(entry.key(), entry.value().detach().cpu());
  }
  for (const auto& [name, average] : ema.weights()) {
    outcome.weights.emplace("ema/" + name, average.cpu());
  }
  return outcome;
}

}  // namespace

TEST_CASE("A recorded step has the bits of one that is not") {
  if (!at::hasCUDA()) VIM_SKIP("no GPU");
  const uint64_t seed = vim::test::fresh_seed();
  const auto precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16, Precision::kFp16);
  CAPTURE(static_cast<int>(precision));
  const Outcome plain = train(seed, {at::kCUDA, precision, false});
  const Outcome recorded = train(seed, {at::kCUDA, precision, true});
  CHECK(plain.losses == recorded.losses);
  for (const auto& [name, tensor] : plain.weights) {
    CAPTURE(name);
    CHECK(at::equal(tensor, recorded.weights.at(name)));
  }
}

TEST_CASE("A step that is not finite is skipped and kept on the device, recorded or not") {
  if (!at::hasCUDA()) VIM_SKIP("no GPU");
  const uint64_t seed = vim::test::fresh_seed();
  const bool graph = GENERATE(false, true);
  const auto precision = GENERATE(Precision::kFp32, Precision::kBf16, Precision::kFp16);
  const int64_t bad_step = GENERATE(1, 4);  // before the recording and after it
  CAPTURE(graph, static_cast<int>(precision), bad_step);
  const Outcome outcome = train(seed, {at::kCUDA, precision, graph, 6, false, bad_step});
  CHECK(outcome.report.steps == 6);
  CHECK(outcome.report.faults == 1);
  CHECK(outcome.report.first == bad_step);
  CHECK(std::isnan(outcome.report.loss));
  for (const auto& [name, tensor] : outcome.before_bad) {
    CAPTURE(name);
    CHECK(at::equal(tensor, outcome.kept.at(name)));
  }
  for (const auto& [name, tensor] : outcome.weights) {
    CAPTURE(name);
    CHECK(tensor.isfinite().all().item<bool>());
  }
}

TEST_CASE("Training on a GPU follows training on the CPU, and half precision follows both") {
  if (!at::hasCUDA()) VIM_SKIP("no GPU");
  const uint64_t seed = vim::test::fresh_seed();
  constexpr int64_t kSteps = 12;
  const Outcome cpu = train(seed, {at::kCPU, Precision::kFp32, false, kSteps});
  const auto [precision, bound] =
      GENERATE(std::pair(Precision::kFp32, 1e-3), std::pair(Precision::kTf32, 1e-2),
               std::pair(Precision::kBf16, 5e-2), std::pair(Precision::kFp16, 2e-2));
  CAPTURE(static_cast<int>(precision));
  const Outcome gpu = train(seed, {at::kCUDA, precision, true, kSteps});
  for (int64_t i = 0; i < kSteps; ++i) {
    CAPTURE(i, cpu.losses[i], gpu.losses[i]);
    CHECK(std::abs(gpu.losses[i] - cpu.losses[i]) < bound * cpu.losses[i]);
  }
}

TEST_CASE("No step waits for the device") {
  if (!at::hasCUDA()) VIM_SKIP("no GPU");
  const bool graph = GENERATE(false, true);
  const auto precision = GENERATE(Precision::kFp32, Precision::kBf16, Precision::kFp16);
  CAPTURE(graph, static_cast<int>(precision));
  const int64_t bad_step = GENERATE(-1, 5);
  CHECK_NOTHROW(train(vim::test::fresh_seed(), {at::kCUDA, precision, graph, 8, true, bad_step}));
}
