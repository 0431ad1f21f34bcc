// A step of AdamW against its formula in double, tensor by tensor, on every device.
#include "vim/ops/adamw.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <cmath>

#include "ops/compare.h"
#include "support/support.h"

using vim::ops::AdamWStep;
using namespace vim::test;

namespace {

struct Options {
  double max_norm = 0, loss_scale = 0;  // 0: none
  bool averages = true;
};

// What the lists hold, as double on the CPU.
struct State {
  Tensors parameters, exp_avg, exp_avg_sq, averages;
  std::vector<double> steps;
};

constexpr double kBeta1 = 0.9, kBeta2 = 0.95, kEps = 1e-8, kDecay = 0.8;

double lr_of(int step) {
  return 1e-2 / (1 + step);
}

// Of which some are larger than a block's share, some empty, one transposed; then `more` small
// ones.
Tensors random_like_parameters(int more) {
  Tensors list;
  for (const auto& sizes : std::vector<std::vector<int64_t>>{
           {3, 5}, {1}, {0}, {8192}, {20000}, {129, 127}, {4, 4, 4, 4}}) {
    list.push_back(at::randn(sizes, at::kDouble));
  }
  list.push_back(at::randn({31, 17}, at::kDouble).t());
  for (int i = 0; i < more; ++i) list.push_back(at::randn({i % 7}, at::kDouble));
  return list;
}

double lr_scale_of(size_t i) {
  return i % 3 == 0 ? 0.5 : 1;
}
double weight_decay_of(size_t i) {
  return i % 2 == 0 ? 0.3 : 0;
}

// Gradients of a step; some parameters have none.
Tensors gradients_of(const Tensors& parameters, int step, double size) {
  Tensors list;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const bool none = step == 1 && i % 5 == 4;
    list.push_back(none ? at::Tensor() : size * at::randn_like(parameters[i]));
  }
  return list;
}

// The formula; returns the norm of the gradients.
double step_by_formula(State& s, const Tensors& gradients, double lr, const Options& options) {
  double squares = 0;
  for (const at::Tensor& g : gradients) {
    if (g.defined()) squares += g.square().sum().item<double>();
  }
  const double norm = std::sqrt(squares);
  const double clip = options.max_norm > 0 ? std::min(1.0, options.max_norm / (norm + 1e-6)) : 1;
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i].defined() && std::isfinite(norm)) {
      const at::Tensor g = gradients[i] * clip;
      const double t = ++s.steps[i], rate = lr * lr_scale_of(i);
      s.exp_avg[i] = kBeta1 * s.exp_avg[i] + (1 - kBeta1) * g;
      s.exp_avg_sq[i] = kBeta2 * s.exp_avg_sq[i] + (1 - kBeta2) * g * g;
      const at::Tensor m = s.exp_avg[i] / (1 - std::pow(kBeta1, t));
      const at::Tensor v = s.exp_avg_sq[i] / (1 - std::pow(kBeta2, t));
      s.parameters[i] =
          s.parameters[i] * (1 - rate * weight_decay_of(i)) - rate * m / (v.sqrt() + kEps);
    }
    s.averages[i] = kDecay * s.averages[i] + (1 - kDecay) * s.parameters[i];
  }
  return norm;
}

// Same strides, which `to` of another type keeps.
Tensors copies(const Tensors& tensors, const at::TensorOptions& options) {
  Tensors list;
  for (const at::Tensor& t : tensors)
    list.push_back(t.defined() ? at::empty_like(t, options).copy_(t) : t);
  return list;
}

AdamWStep on_device(const State& s, const at::TensorOptions& options, const Options& given) {
  AdamWStep step;
  step.parameters = copies(s.parameters, options);
  step.exp_avg = copies(s.exp_avg, options);
  step.exp_avg_sq = copies(s.exp_avg_sq, options);
  if (given.averages) step.averages = copies(s.averages, options);
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    step.lr_scale.push_back(lr_scale_of(i));
    step.weight_decay.push_back(weight_decay_of(i));
  }
  const int64_t count = static_cast<int64_t>(s.parameters.size());
  step.steps = at::zeros({count}, options.dtype(at::kFloat));
  step.lr = at::zeros({}, options.dtype(at::kDouble));
  step.beta1 = kBeta1, step.beta2 = kBeta2, step.eps = kEps;
  step.max_norm = given.max_norm, step.average_decay = kDecay;
  if (given.loss_scale > 0) {
    step.loss_scale = at::full({}, given.loss_scale, options.dtype(at::kFloat));
    step.skip = at::zeros({}, options.dtype(at::kFloat));
  }
  return step;
}

// With a loss scale, a step is skipped where a gradient overflows, as in training.
at::Tensor norm_and_step(AdamWStep& step) {
  step.norm = vim::ops::gradient_norm(step.gradients, step.loss_scale, step.skip);
  vim::ops::adamw_step(step);
  return step.norm;
}

State initial_state(int more = 0) {
  State s;
  s.parameters = random_like_parameters(more);
  s.averages = copies(random_like_parameters(more), at::kDouble);
  for (const at::Tensor& p : s.parameters) {
    s.exp_avg.push_back(at::zeros_like(p));
    s.exp_avg_sq.push_back(at::zeros_like(p));
  }
  s.steps.assign(s.parameters.size(), 0);
  return s;
}

// Errors are relative to the largest number of the list: a single one may have come out near zero.
void check_lists(const Tensors& got, const Tensors& expected, double tolerance) {
  REQUIRE(got.size() == expected.size());
  double largest = 0;
  for (const at::Tensor& t : expected) {
    if (t.numel() > 0) largest = std::max(largest, t.abs().max().item<double>());
  }
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("parameter " << i);
    REQUIRE(got[i].sizes() == expected[i].sizes());
    if (got[i].numel() == 0) continue;
    const at::Tensor difference = got[i].to(at::kCPU, at::kDouble) - expected[i];
    CHECK(difference.abs().max().item<double>() <= tolerance * largest);  // fails for NaN too
  }
}

void check_state(const AdamWStep& got, const State& expected, double tolerance) {
  check_lists(got.parameters, expected.parameters, tolerance);
  check_lists(got.exp_avg, expected.exp_avg, tolerance);
  check_lists(got.exp_avg_sq, expected.exp_avg_sq, tolerance);
  if (!got.averages.empty()) check_lists(got.averages, expected.averages, tolerance);
  for (size_t i = 0; i < expected.steps.size(); ++i) {
    CHECK(got.steps[static_cast<int64_t>(i)].item<double>() == expected.steps[i]);
  }
}

}  // namespace

TEST_CASE("Steps of AdamW with clipping, loss scale and averages are those of the formula") {
  at::manual_seed(fresh_seed());
  const int more = GENERATE(0, 1100);  // 1100: three launches
  const Options options =
      GENERATE(Options{}, Options{1.5}, Options{1e9}, Options{1.5, 1024}, Options{0, 1024, false});
  CAPTURE(more, options.max_norm, options.loss_scale);
  for (const Target& target : targets()) {
    if (at::isReducedFloatingType(target.dtype)) continue;
    CAPTURE(target.device, target.dtype);
    State expected = initial_state(more);
    const auto to = at::TensorOptions(target.device).dtype(target.dtype);
    AdamWStep step = on_device(expected, to, options);
    for (int i = 0; i < 3; ++i) {
      const Tensors gradients = gradients_of(expected.parameters, i, 0.01 * (1 + i));
      Tensors scaled;
      for (const at::Tensor& g : gradients) {
        scaled.push_back(g.defined() && options.loss_scale > 0 ? g * options.loss_scale : g);
      }
      step.gradients = copies(scaled, to);
      step.lr.fill_(lr_of(i));
      const double norm = norm_and_step(step).item<double>();
      CHECK(norm == Approx(step_by_formula(expected, gradients, lr_of(i), options)).epsilon(1e-5));
    }
    check_state(step, expected, target.dtype == at::kDouble ? 1e-10 : 1e-5);
  }
}

TEST_CASE("With a loss scale, a gradient that is not finite moves nothing but the averages") {
  at::manual_seed(fresh_seed());
  const double bad = GENERATE(INFINITY, -INFINITY, NAN);
  const double max_norm = GENERATE(0, 1);
  for (const Target& target : targets()) {
    if (target.dtype != at::kFloat) continue;
    CAPTURE(target.device, bad, max_norm);
    State expected = initial_state();
    const Options options{max_norm, 4};
    const auto to = at::TensorOptions(target.device).dtype(at::kFloat);
    AdamWStep step = on_device(expected, to, options);
    Tensors gradients = gradients_of(expected.parameters, 0, 1);
    gradients[5][128][126] = bad;
    step.gradients = copies(gradients, to);
    step.lr.fill_(0.1);
    norm_and_step(step);
    step_by_formula(expected, gradients, 0.1, options);
    check_state(step, expected, 1e-6);
    CHECK(step.skip.item<double>() == 1);
  }
}

TEST_CASE("Without a loss scale, a gradient that is no number shows in the parameters") {
  at::manual_seed(fresh_seed());
  for (const Target& target : targets()) {
    if (target.dtype != at::kFloat) continue;
    CAPTURE(target.device);
    const State state = initial_state();
    const auto to = at::TensorOptions(target.device).dtype(at::kFloat);
    AdamWStep step = on_device(state, to, {1});
    Tensors gradients = gradients_of(state.parameters, 0, 1);
    gradients[5][0][0] = NAN;
    step.gradients = copies(gradients, to);
    step.lr.fill_(0.1);
    CHECK(std::isnan(norm_and_step(step).item<double>()));
    CHECK(step.parameters[0].isnan().all().item<bool>());
  }
}

TEST_CASE("A GPU's steps of AdamW have the same bits twice") {
  if (!at::hasCUDA()) VIM_SKIP("no GPU");
  at::manual_seed(fresh_seed());
  const State state = initial_state(5);
  const auto options = at::TensorOptions(at::kCUDA).dtype(at::kFloat);
  const Tensors gradients = copies(gradients_of(state.parameters, 0, 1), options);
  const auto run = [&] {
    AdamWStep step = on_device(state, options, {1});
    step.gradients = gradients;
    step.lr.fill_(0.1);
    norm_and_step(step);
    return step.parameters;
  };
  check_same_bits(run(), run());
}

TEST_CASE("Lists that do not belong together are refused with a sentence") {
  const State state = initial_state();
  AdamWStep step = on_device(state, at::TensorOptions(at::kCPU).dtype(at::kFloat), {});
  step.gradients = copies(state.parameters, at::kFloat);
  step.gradients[3] = at::zeros({8191});
  CHECK_THROWS_WITH(vim::ops::adamw_step(step), Catch::Contains("tensors of parameter 3 differ"));
  step.gradients.pop_back();
  CHECK_THROWS_WITH(vim::ops::adamw_step(step), Catch::Contains("of something else"));
}
