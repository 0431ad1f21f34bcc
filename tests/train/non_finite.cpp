// Steps whose loss or gradients are not finite: what becomes of the weights, and what is told of
// them.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include <limits>

#include "support/catch.h"
#include "support/support.h"
#include "train/dump.h"
#include "train/synthetic.h"
#include "train/train_step.h"
#include "vim/core/error.h"
#include "vim/io/tensor_file.h"

using namespace vim::train;
using vim::tasks::Inputs;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

vim::nn::ModelConfig small_model() {
  vim::nn::ModelConfig config;
  config.image_size = {16, 16};
  config.patch_size = 8;
  config.embed_dim = 16;
  config.depth = 2;
  config.num_classes = 4;
  config.drop_path_rate = 0;
  return config;
}

Inputs with_value(Inputs inputs, double value) {
  inputs[0] = inputs[0].clone();
  inputs[0][1][0][3][3] = value;
  return inputs;
}

vim::nn::Weights clones(const vim::nn::Weights& tensors) {
  vim::nn::Weights copies;
  for (const auto& [name, tensor] : tensors) copies.emplace(name, tensor.detach().clone());
  return copies;
}

void check_equal(const vim::nn::Weights& a, const vim::nn::Weights& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, tensor] : a) {
    CAPTURE(name);
    CHECK(tensor.equal(b.at(name)));
  }
}

RunConfig small_config(uint64_t seed) {
  at::manual_seed(seed);
  RunConfig config;
  config.model = small_model();
  config.optim.clip_grad = 1;
  return config;
}

// A model with all that a step needs.
struct Bench {
  explicit Bench(uint64_t seed) : config(small_config(seed)) {}
  RunConfig config;
  Synthetic task{config.model, at::kCPU};
  AdamW optimizer{task.model(), config.optim};
  TrainStep step{config, task, optimizer, nullptr};
};

// The first observation of a step with values that are not finite, in words.
std::string first_wrong(TrainStep& step, torch::nn::Module& model, const Inputs& inputs) {
  Observer observer(model, Observer::Detail::kEverything);
  observer.note_weights();
  step.backward({inputs}, &observer);
  for (const Observed& entry : observer.read()) {
    if (entry.statistics.not_finite > 0) return in_words(entry);
  }
  return "nothing";
}

// One linear layer, and a loss of its output.
class Layer : public vim::tasks::Objective {
 public:
  using Loss = at::Tensor (*)(const at::Tensor& output);
  explicit Layer(Loss function) : loss_(function) { model_->register_module("layer", layer_); }
  torch::nn::Module& model() override { return *model_; }
  at::Tensor loss(const Inputs& inputs) override { return loss_(layer_->forward(inputs[0])); }

 private:
  Loss loss_;
  std::shared_ptr<torch::nn::Module> model_ = std::make_shared<torch::nn::Module>();
  torch::nn::Linear layer_{3, 2};
};

}  // namespace

TEST_CASE("A step that is not finite leaves weights and moments as if it had not been") {
  const uint64_t seed = vim::test::fresh_seed();
  const double value = GENERATE(values({kNan, kInfinity, -kInfinity}));
  CAPTURE(value);
  Bench with(seed), without(seed);
  vim::nn::load_weights(without.task.model(), vim::nn::weights_of(with.task.model()), "the other");
  const Inputs first = with.task.batch(3), second = with.task.batch(3);
  for (const Inputs& inputs : {first, with_value(first, value), second}) {
    with.step.run({inputs}, 1e-2);
  }
  for (const Inputs& inputs : {first, second}) without.step.run({inputs}, 1e-2);
  check_equal(vim::nn::weights_of(with.task.model()), vim::nn::weights_of(without.task.model()));
  check_equal(with.optimizer.state(), without.optimizer.state());
}

TEST_CASE("Of several steps that are not finite, the first one and its weights are kept") {
  Bench bench(vim::test::fresh_seed());
  const Inputs good = bench.task.batch(3), bad = with_value(good, kNan);
  bench.step.run({good}, 1e-2);
  const auto before = clones(bench.optimizer.parameters());
  for (const Inputs& inputs : {bad, good, bad, good}) bench.step.run({inputs}, 1e-2);
  const FiniteGuard::Report report = bench.step.guard().report();
  CHECK(report.steps == 5);
  CHECK(report.faults == 2);
  CHECK(report.first == 1);
  CHECK(std::isnan(report.loss));
  check_equal(bench.step.guard().kept(), before);

  bench.step.guard().restart();
  bench.step.run({good}, 1e-2);
  CHECK(bench.step.guard().report().steps == 1);
  CHECK(bench.step.guard().report().faults == 0);
  const auto later = clones(bench.optimizer.parameters());
  bench.step.run({bad}, 1e-2);
  CHECK(bench.step.guard().report().first == 1);
  check_equal(bench.step.guard().kept(), later);
}

TEST_CASE("What is skipped and what is a fault, with and without a loss scale") {
  struct Row {
    double loss, norm, scale, overflow;  // scale 0: none
    double skip, fault;
  };
  const auto row = GENERATE(
      Row{1, 2, 0, 0, 0, 0}, Row{kNan, 2, 0, 0, 1, 1}, Row{1, kInfinity, 0, 0, 1, 1},
      Row{1, kNan, 0, 0, 1, 1}, Row{1, 2, 65536, 0, 0, 0}, Row{1, kInfinity, 65536, 1, 1, 0},
      Row{1, kNan, 1, 1, 1, 0}, Row{1, kInfinity, 0.5, 1, 1, 1}, Row{1, kInfinity, 65536, 0, 1, 1},
      Row{-kInfinity, kNan, 65536, 1, 1, 1});
  CAPTURE(row.loss, row.norm, row.scale, row.overflow);
  FiniteGuard guard({{"w", at::ones({2})}});
  const auto scalar = [](double value) { return at::full({}, value); };
  if (row.scale == 0) {
    guard.note(scalar(row.loss), scalar(row.norm));
  } else {
    guard.note(scalar(row.loss), scalar(row.norm), scalar(row.scale), scalar(row.overflow));
  }
  CHECK(guard.skip().item<double>() == row.skip);
  CHECK(guard.tally()[1].item<double>() == row.fault);
  CHECK(guard.tally()[0].item<double>() == (row.fault != 0 ? 0 : row.loss));
  CHECK(guard.report().faults == row.fault);
}

TEST_CASE("A loss that is not finite spreads to every gradient, a finite one changes none") {
  const at::Tensor w = at::randn({5}).set_requires_grad(true);
  const bool finite = GENERATE(true, false);
  const at::Tensor loss = (w * w).sum() + (finite ? 1 : kInfinity);
  FiniteGuard::spread(loss).backward();
  CHECK(w.grad().isfinite().all().item<bool>() == finite);
  if (finite) CHECK(w.grad().equal(2 * w.detach()));
}

TEST_CASE("Whatever goes wrong first is named") {
  Bench bench(vim::test::fresh_seed());
  const Inputs good = bench.task.batch(3);
  auto& model = bench.task.model();
  const at::NoGradGuard no_grad;
  const auto wrong = [&](const Inputs& inputs) {
    const at::AutoGradMode grad(true);
    bench.optimizer.zero_gradients();
    return first_wrong(bench.step, model, inputs);
  };
  CHECK(wrong(good) == "nothing");
  CHECK(wrong(with_value(good, kNan)) == "input 0");
  for (const auto& entry : model.named_parameters()) {
    at::Tensor values = entry.value().view(-1);
    const at::Tensor before = values.clone();
    values[values.size(0) / 2] = kNan;
    CHECK(wrong(good) == "the weight " + entry.key());
    values.copy_(before);
  }
  for (const auto& [weight, output] :
       {std::pair("patch_embed.proj.weight", "the output of linear in patch_embed.proj"),
        std::pair("layers.1.mixer.A_log", "the output of exp in layers.1.mixer.A_log"),
        std::pair("head.weight", "the output of addmm in head")}) {
    at::Tensor values = model.named_parameters()[weight];
    const at::Tensor before = values.clone();
    values.fill_(3e38);
    CHECK(wrong(good) == output);
    values.copy_(before);
  }
  CHECK(wrong(good) == "nothing");
}

TEST_CASE("A gradient that is not finite is named where the loss is finite") {
  RunConfig config;
  Layer task([](const at::Tensor& output) { return (output * 0).abs().sqrt().sum(); });
  AdamW optimizer(task.model(), config.optim);
  TrainStep step(config, task, optimizer, nullptr);
  const Inputs inputs = {at::randn({4, 3})};
  CHECK_THAT(first_wrong(step, task.model(), inputs),
             Catch::StartsWith("the gradient of the output of"));
  optimizer.zero_gradients();
  step.run({inputs}, 1);
  const FiniteGuard::Report report = step.guard().report();
  CHECK(report.faults == 1);
  CHECK(report.loss == 0);
}

TEST_CASE("The statistics of a layer are those of its values") {
  Layer task([](const at::Tensor& output) { return output.square().sum(); });
  RunConfig config;
  AdamW optimizer(task.model(), config.optim);
  TrainStep step(config, task, optimizer, nullptr);
  at::Tensor input = at::randn({4, 3});
  input[2][1] = kInfinity;
  Observer observer(task.model(), Observer::Detail::kLayers);
  step.backward({{input}}, &observer);
  const std::vector<Observed> all = observer.read();
  REQUIRE(all.size() >= 3);
  CHECK(all[0].kind == ObservedKind::kInput);
  CHECK(all[0].statistics.not_finite == 1);
  double min = kInfinity, max = -kInfinity, sum = 0;
  for (int64_t i = 0; i < 12; ++i) {
    const double value = input.view(-1)[i].item<double>();
    if (!std::isfinite(value)) continue;
    min = std::min(min, value);
    max = std::max(max, value);
    sum += std::abs(value);
  }
  CHECK(all[0].statistics.min == min);
  CHECK(all[0].statistics.max == max);
  CHECK(all[0].statistics.mean_abs == Approx(sum / 11));
  CHECK(all[1].kind == ObservedKind::kOutput);
  CHECK(all[1].name == "layer");
  CHECK(all[1].shape == std::vector<int64_t>{4, 2});
  CHECK(all[1].statistics.not_finite == 2);  // the row of the infinity
  CHECK(all.back().kind == ObservedKind::kWeightGradient);
}

TEST_CASE("A dump comes back as it was written") {
  const vim::test::ScratchFolder folder;
  Dump dump{"seed: 1\n", "test", 124, 12, 0.5, {{"w", at::randn({3})}}, {}};
  for (const int rank : {2, 11}) {
    for (int batch = 0; batch < 12; ++batch) {
      dump.inputs[rank].push_back({at::randn({2, 3}), at::full({2}, batch, at::kLong)});
    }
  }
  save_dump(folder / "dump.safetensors", dump);
  const Dump back = load_dump(folder / "dump.safetensors");
  CHECK(back.config == dump.config);
  CHECK(back.step == 124);
  CHECK(back.processes == 12);
  CHECK(back.loss_scale == 0.5);
  check_equal(back.weights, dump.weights);
  REQUIRE(back.inputs.size() == 2);
  for (const auto& [rank, batches] : dump.inputs) {
    REQUIRE(back.inputs.at(rank).size() == batches.size());
    for (size_t b = 0; b < batches.size(); ++b) {
      REQUIRE(back.inputs.at(rank)[b].size() == 2);
      for (size_t i = 0; i < 2; ++i) CHECK(back.inputs.at(rank)[b][i].equal(batches[b][i]));
    }
  }
  vim::io::write_tensors(folder / "weights.safetensors", {{{"w", at::randn({3})}}, {}});
  CHECK_THROWS_WITH(load_dump(folder / "weights.safetensors"), Catch::Contains("not a dump"));
}
