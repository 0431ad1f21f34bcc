#include "vim/train/benchmark_ops.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "train/benchmark_report.h"
#include "train/device.h"
#include "train/device_graph.h"
#include "train/op_cases.h"
#include "train/op_check.h"
#include "train/precision.h"
#include "train/stopwatch.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
#include "vim/core/version.h"

namespace vim::train {
namespace {

enum class Pass { kForward, kTraining, kBackward };

const char* name_of(Pass pass) {
  switch (pass) {
    case Pass::kForward:
      return "forward";
    case Pass::kTraining:
      return "forward, keeping";
    case Pass::kBackward:
      return "backward";
  }
  return "";
}

at::ScalarType dtype_of(Precision precision) {
  if (precision != Precision::kTf32) return compute_type(precision);
  throw UsageError("tf32 is a way of multiplying matrices; operators take fp32, fp16 or bf16");
}

struct Problem {
  OpCase op;
  OpShape shape;
  int64_t state;
  Precision precision;
  at::Device device;

  Tensors make() const {
    Tensors inputs = op.make(shape, state, at::TensorOptions(device).dtype(dtype_of(precision)));
    for (at::Tensor& tensor : inputs) tensor.requires_grad_();
    return inputs;
  }
};

// --- Speed -------------------------------------------------------------------------------------

double bytes_of(const Tensors& tensors) {
  double bytes = 0;
  for (const at::Tensor& tensor : tensors) bytes += static_cast<double>(tensor.nbytes());
  return bytes;
}

// A call on tensors of its own. Its results are kept until the next call, so that each set has its
// own memory for them too.
class Set {
 public:
  Set(const Problem& problem, Pass pass) : op_(problem.op), pass_(pass), inputs_(problem.make()) {
    if (pass == Pass::kForward) {
      for (at::Tensor& tensor : inputs_) tensor.requires_grad_(false);
    }
    if (pass == Pass::kBackward) {
      outputs_ = op_.call(inputs_);
      grads_ = random_gradients(outputs_);
    }
  }
  void call() {
    results_ = pass_ == Pass::kBackward
                   ? torch::autograd::grad(outputs_, inputs_, grads_, /*retain_graph=*/true)
                   : op_.call(inputs_);
  }
  // That a call has to read and to write, not counting what it passes on from forward to backward.
  double bytes() const { return bytes_of(inputs_) + bytes_of(grads_) + bytes_of(results_); }

 private:
  const OpCase& op_;
  Pass pass_;
  Tensors inputs_, outputs_, grads_, results_;
};

// What a call takes.
struct Timing {
  double microseconds, bytes_per_second;
};

Timing measure(const Problem& problem, Pass pass, double seconds) {
  constexpr double kSeveralCaches = 400e6;
  constexpr size_t kMostSets = 64;
  DeviceGraph graph;  // outlives the sets, whose tensors it owns the memory of
  std::vector<std::unique_ptr<Set>> sets;
  double bytes = 0;
  do {
    sets.push_back(std::make_unique<Set>(problem, pass));
    sets.back()->call();
    bytes += sets.back()->bytes();
  } while (sets.size() < 2 || (bytes < kSeveralCaches && sets.size() < kMostSets));
  const auto in_turn = [&] {
    for (const auto& set : sets) set->call();
  };
  if (problem.device.is_cuda()) graph.record(in_turn);
  const double milliseconds = median_milliseconds(
      [&] { graph.recorded() ? graph.replay() : in_turn(); }, seconds, problem.device);
  return {1e3 * milliseconds / static_cast<double>(sets.size()), 1e3 * bytes / milliseconds};
}

// --- The table ---------------------------------------------------------------------------------

template <class... Cells>
std::string row(const Cells&... cells) {
  constexpr int kWidths[] = {11, 17, 5, 6, 9, 7, 10, 8, 8};
  return line_of(kWidths, /*left=*/2, cells...);
}

class Report {
 public:
  explicit Report(at::Device device) : copy_(copy_bandwidth(device)) {
    json_ = {{"version", version()},
             {"device", describe(device)},
             {"copy_bytes_per_second", copy_},
             {"results", nlohmann::ordered_json::array()}};
    std::cout << describe(device) << ", copies " << fixed(copy_ / 1e9, 0) << " GB/s\n"
              << row("operator", "pass", "type", "batch", "channels", "length", "us", "GB/s",
                     "of copy");
  }

  void add(const Problem& problem, Pass pass, const Timing& timing) {
    nlohmann::ordered_json entry = describe_problem(problem);
    entry["pass"] = name_of(pass);
    entry["microseconds"] = timing.microseconds;
    entry["bytes_per_second"] = timing.bytes_per_second;
    json_["results"].push_back(std::move(entry));
    print(problem, name_of(pass), fixed(timing.microseconds, 1),
          fixed(timing.bytes_per_second / 1e9, 1),
          fixed(100 * timing.bytes_per_second / copy_, 0) + " %");
  }
  void add_wrong(const Problem& problem, const std::string& what) {
    nlohmann::ordered_json entry = describe_problem(problem);
    entry["wrong"] = what;
    json_["results"].push_back(std::move(entry));
    print(problem, "WRONG: not timed", "-", "-", "-");
    std::cout << "  " << what << std::endl;
    all_well_ = false;
  }
  bool all_well() const { return all_well_; }
  std::string json() const { return json_.dump(2) + "\n"; }

 private:
  static nlohmann::ordered_json describe_problem(const Problem& p) {
    return {{"operator", p.op.name},    {"type", name_of(p.precision)},
            {"batch", p.shape.batch},   {"channels", p.shape.channels},
            {"length", p.shape.length}, {"state", p.state}};
  }
  template <class... Cells>
  static void print(const Problem& p, const std::string& pass, const Cells&... cells) {
    std::cout << row(p.op.name, pass, name_of(p.precision), p.shape.batch, p.shape.channels,
                     p.shape.length, cells...)
              << std::flush;
  }

  double copy_;
  nlohmann::ordered_json json_;
  bool all_well_ = true;
};

std::vector<OpShape> default_shapes() {
  return {{128, 384, 197}, {128, 768, 197}, {32, 384, 1025},
          {8, 384, 6085},  {8, 768, 6085},  {1, 384, 197}};
}

void run(const Problem& problem, double seconds, Report& report) {
  const std::string wrong =
      difference_from_reference(problem.op, problem.make(), problem.precision);
  if (!wrong.empty()) {
    report.add_wrong(problem, wrong);
    return;
  }
  for (const Pass pass : {Pass::kForward, Pass::kTraining, Pass::kBackward}) {
    const c10::AutoGradMode grad_mode(pass != Pass::kForward);
    report.add(problem, pass, measure(problem, pass, seconds));
  }
}

}  // namespace

std::vector<std::string> benchmark_op_names() {
  std::vector<std::string> names;
  for (const OpCase& op : op_cases()) names.push_back(op.name);
  return names;
}

bool benchmark_ops(const OpsBenchmarkCommand& given) {
  OpsBenchmarkCommand command = given;
  const at::Device device = choose_device(command.device);
  if (command.shapes.empty()) command.shapes = default_shapes();
  if (command.types.empty()) {
    command.types = {device.is_cuda() ? Precision::kBf16 : Precision::kFp32};
  }
  for (const Precision type : command.types) {
    if (dtype_of(type) != at::kFloat && !device.is_cuda()) {
      throw UsageError("the operators compute in fp16 and bf16 on a GPU only; use --type fp32");
    }
  }
  allow_tf32(Precision::kFp32);
  const auto stream = own_stream(device);
  Report report(device);
  for (const OpCase& op : op_cases()) {
    if (!command.ops.empty() && std::ranges::find(command.ops, op.name) == command.ops.end())
      continue;
    for (const Precision type : command.types) {
      for (const OpShape& shape : command.shapes) {
        run({op, shape, command.state, type, device}, command.seconds, report);
      }
    }
  }
  if (command.json) write_atomically(*command.json, report.json());
  return report.all_well();
}

}  // namespace vim::train
