// What vim-bench measures: that each operator passes its check, and that the check finds mistakes.
#include "train/op_check.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "support/catch.h"
#include "support/support.h"

using namespace vim::train;

namespace {

Tensors with_gradients(Tensors tensors) {
  for (at::Tensor& tensor : tensors) tensor.requires_grad_();
  return tensors;
}

std::string check(const std::function<Tensors(const Tensors&)>& call) {
  const OpCase op{
      "product", {"a", "b"}, {}, call, [](const Tensors& t) { return Tensors{t[0] * t[1]}; }};
  return difference_from_reference(op, with_gradients({at::randn({5, 7}), at::randn({5, 7})}),
                                   Precision::kFp32);
}

}  // namespace

TEST_CASE("Every operator that vim-bench measures passes its check on this machine's devices") {
  at::manual_seed(vim::test::fresh_seed());
  for (const OpCase& op : op_cases()) {
    // Not one sample of one token: its gradient of B is one sum times C, which may cancel.
    const OpShape shape = GENERATE(OpShape{2, 32, 19}, OpShape{8, 70, 1});
    CAPTURE(op.name, shape.batch, shape.channels, shape.length);
    const Tensors on_cpu = op.make(shape, 16, at::TensorOptions(at::kFloat));
    REQUIRE(on_cpu.size() == op.arguments.size());
    CHECK(difference_from_reference(op, with_gradients(on_cpu), Precision::kFp32) == "");
    if (!at::hasCUDA()) continue;
    for (const auto& [precision, dtype] :
         {std::pair(Precision::kFp32, at::kFloat), std::pair(Precision::kBf16, at::kBFloat16),
          std::pair(Precision::kFp16, at::kHalf)}) {
      const auto options = at::TensorOptions(at::kCUDA).dtype(dtype);
      CHECK(difference_from_reference(op, with_gradients(op.make(shape, 16, options)), precision) ==
            "");
    }
  }
}

TEST_CASE("The check of an operator finds one wrong number, result or gradient") {
  at::manual_seed(vim::test::fresh_seed());
  CHECK(check([](const Tensors& t) { return Tensors{t[0] * t[1]}; }) == "");
  CHECK_THAT(check([](const Tensors& t) {
               const at::Tensor product = t[0] * t[1];
               return Tensors{at::where(at::arange(7) == 3, product + 0.01, product)};
             }),
             Catch::Contains("result 1 differs"));
  CHECK_THAT(check([](const Tensors& t) { return Tensors{t[0] * t[1].detach() + 0 * t[1]}; }),
             Catch::Contains("the gradient of b differs"));
  CHECK_THAT(check([](const Tensors& t) {
               return Tensors{t[0] * t[1] + (c10::GradMode::is_enabled() ? 0 : NAN)};
             }),
             Catch::Contains("result 1 without gradients differs"));
}
