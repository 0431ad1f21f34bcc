// AdamW over named parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

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
  void set_lr(double lr);

  // One update with the gradients that the parameters hold; a parameter without one keeps its
  // value. None at all where `skip`, a scalar on the device, is given and not zero.
  void step(const at::Tensor& skip = {});

  // Scales all gradients so that their joint norm is at most `max_norm`; returns the norm before, a
  // scalar tensor on the device, so that nothing waits for it.
  at::Tensor clip_gradients(double max_norm);

  void zero_gradients();

  // Those that are there.
  std::vector<at::Tensor> gradients() const;

  at::Device device() const { return groups_.front().parameters.front().device(); }

  // The moments under "exp_avg/<name>" and "exp_avg_sq/<name>", and "step/<name>". The tensors are
  // the optimiser's own.
  std::map<std::string, at::Tensor> state() const;
  void load_state(const std::map<std::string, at::Tensor>& state, const std::string& source);

 private:
  struct Group {
    double weight_decay;
    double lr_scale;
    std::vector<std::string> names;
    std::vector<at::Tensor> parameters, exp_avg, exp_avg_sq, steps;
    at::Tensor device_lr;  // on a GPU: the rate times lr_scale
  };

  OptimConfig config_;
  double lr_ = 0;
  std::vector<Group> groups_;  // none empty
};

}  // namespace vim::train
