// Losses over soft targets.
#pragma once

#include <ATen/core/Tensor.h>

#include "vim/tasks/config.h"

namespace vim::tasks {

// logits and targets: [batch, classes]; targets may be soft. The mean over the batch and, for
// binary cross-entropy, over the classes.
at::Tensor soft_target_loss(const at::Tensor& logits, const at::Tensor& targets,
                            const TaskConfig& config);

}  // namespace vim::tasks
