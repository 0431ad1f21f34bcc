#include "tasks/loss.h"

#include <ATen/ATen.h>

#include "support/catch.h"

using vim::tasks::LossKind;
using vim::tasks::soft_target_loss;

namespace {

at::Tensor logits() {
  return at::tensor({2.0, -1.0, 0.5, 0.0, 0.25, -3.0}).view({2, 3});
}

at::Tensor targets() {
  return at::tensor({0.7, 0.2, 0.1, 0.0, 0.4, 0.6}).view({2, 3});
}

}  // namespace

TEST_CASE("Cross-entropy with soft targets is the mean of -sum t log softmax") {
  const at::Tensor expected = -(targets() * logits().log_softmax(1)).sum(1).mean();
  CHECK(soft_target_loss(logits(), targets(), {}).item<double>() ==
        Approx(expected.item<double>()).epsilon(1e-12));
}

TEST_CASE("Smoothed one-hot targets give the loss with label smoothing") {
  const at::Tensor labels = at::tensor({2, 0}, at::kLong);
  const at::Tensor smooth = at::one_hot(labels, 3).to(at::kDouble) * 0.9 + 0.1 / 3;
  const at::Tensor expected =
      at::cross_entropy_loss(logits(), labels, {}, at::Reduction::Mean, -100, 0.1);
  CHECK(soft_target_loss(logits(), smooth, {}).item<double>() ==
        Approx(expected.item<double>()).epsilon(1e-12));
}

TEST_CASE("Binary cross-entropy looks at each class for itself, a threshold makes targets hard") {
  const at::Tensor p = logits().sigmoid();
  const auto expected = [&](const at::Tensor& t) {
    return -(t * p.log() + (1 - t) * (1 - p).log()).mean().item<double>();
  };
  vim::tasks::TaskConfig config;
  config.loss = LossKind::kBinary;
  CHECK(soft_target_loss(logits(), targets(), config).item<double>() ==
        Approx(expected(targets())).epsilon(1e-12));
  config.binary_threshold = 0.15;
  const at::Tensor hard = at::tensor({1.0, 1.0, 0.0, 0.0, 1.0, 1.0}).view({2, 3});
  CHECK(soft_target_loss(logits(), targets(), config).item<double>() ==
        Approx(expected(hard)).epsilon(1e-12));
}
