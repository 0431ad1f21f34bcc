// AdamW over named parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "train/ema.h"
#include "train/precision.h"
#include "vim/nn/weights.h"
#include "vim/ops/adamw.h"
#include "vim/train/config.h"

namespace torch::nn {
class Module;
}

namespace vim::train {

// Whether weight decay applies to a parameter of this name and shape.
bool is_decayed(const std::string& name, const at::Tensor& parameter, const OptimConfig& config);

// Where a parameter stands for optim.layer_decay: 0 the embeddings, i + 1 block i, and `blocks` + 1
// what follows them.
int64_t layer_of(const std::string& name, int64_t blocks);

// Ends the training of the parameters whose names one of the patterns matches (* and ? as in file
// names). Throws UsageError where a pattern matches none, or nothing is left.
void freeze(torch::nn::Module& model, const std::vector<std::string>& patterns);

class AdamW {
 public:
  AdamW(const torch::nn::Module& model, const OptimConfig& config);

  // The learning rate of the steps to come. On a GPU it is put there, so that a recorded step reads
  // it.
  void set_lr(double lr) { step_.lr.fill_(lr); }

  // The joint norm of the gradients that the parameters hold, a scalar tensor on the device, so
  // that nothing waits for it. With a `scale`, that of the loss whose gradients they are, the norm
  // is that of the gradients without it, and an overflow is noted there.
  at::Tensor gradient_norm(const LossScale* scale = nullptr) const;

  // One update with the gradients, whose joint norm is `norm`, clipped as configured, and of the
  // averages where there is an `ema`; a parameter without a gradient keeps its value. None at all,
  // but of the averages, where `skip`, a float scalar on the device, is given and 1.
  void step(const at::Tensor& norm, const Ema* ema = nullptr, const LossScale* scale = nullptr,
            const at::Tensor& skip = {});

  void zero_gradients();

  // Those that are trained, by name; the model's own.
  nn::Weights parameters() const;

  at::Device device() const { return step_.parameters.front().device(); }

  // The moments under "exp_avg/<name>" and "exp_avg_sq/<name>", and "step/<name>". The tensors are
  // the optimiser's own.
  std::map<std::string, at::Tensor> state() const;
  void load_state(const std::map<std::string, at::Tensor>& state, const std::string& source);

 private:
  std::vector<at::Tensor> gradients() const;  // undefined where there is none

  std::vector<std::string> names_;
  ops::AdamWStep step_;  // the parameters that are trained, at least one; gradients and averages
                         // are put into it for a step
};

}  // namespace vim::train
