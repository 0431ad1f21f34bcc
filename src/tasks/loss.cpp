#include "tasks/loss.h"

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/gt.h>

namespace vim::tasks {

at::Tensor soft_target_loss(const at::Tensor& logits, const at::Tensor& targets,
                            const TaskConfig& config) {
  if (config.loss == LossKind::kCrossEntropy) return at::cross_entropy_loss(logits, targets);
  if (!config.binary_threshold) return at::binary_cross_entropy_with_logits(logits, targets);
  const at::Tensor hard = targets.gt(*config.binary_threshold).to(targets.scalar_type());
  return at::binary_cross_entropy_with_logits(logits, hard);
}

}  // namespace vim::tasks
