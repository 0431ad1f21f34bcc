#include "ops/autograd.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/functions/basic_ops.h>

#include <algorithm>

namespace vim::ops {

void once_differentiable(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const auto inputs = torch::jit::last(*stack, schema.arguments().size());
  const bool differentiated = at::GradMode::is_enabled() &&
                              std::any_of(inputs.begin(), inputs.end(), [](const auto& value) {
                                return value.isTensor() && value.toTensor().requires_grad();
                              });
  {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    op.callBoxed(stack);
  }
  if (!differentiated) return;

  const auto refusal = std::make_shared<torch::autograd::DelayedError>(
      schema.name() + " cannot be differentiated: second derivatives are not implemented.", 1);
  for (auto& value : torch::jit::last(*stack, schema.returns().size())) {
    if (!value.isTensor() || !value.toTensor().defined()) continue;
    const at::Tensor result = value.toTensor();
    result.set_requires_grad(true);
    const_cast<c10::IValue&>(value) = (*refusal)({result})[0];
  }
}

}  // namespace vim::ops
