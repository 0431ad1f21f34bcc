// Gradients that are the mean over all ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "vim/dist/config.h"
#include "vim/dist/process_group.h"

namespace torch::nn {
class Module;
}

namespace vim::dist {

// A reducer over a model's parameters, c10d's or our own (DistConfig::reducer): buckets about in
// the order in which gradients become ready, reduced while the backward pass goes on; the gradients
// are views of the buckets.
class DataParallel {
 public:
  // In a world of more than one. All ranks' models have the same parameters in the same order; both
  // references outlive this.
  DataParallel(const torch::nn::Module& model, ProcessGroup& group, const DistConfig& config);
  ~DataParallel();

  // Runs the backward pass of `loss`, after which every gradient is the mean over the ranks,
  // gradients of earlier backward passes (without this, that is: not reduced) included. Throws
  // Error, which names them, where parameters take no part in the loss and the configuration does
  // not allow that.
  void backward(const at::Tensor& loss);

  // Whether a backward pass can be recorded as a CUDA graph, reduction included: not where it looks
  // for unused parameters, which decides on the host.
  bool is_capturable() const;

  // Tensors of zeros like those that go over the network, in their order; for measuring.
  std::vector<at::Tensor> empty_buckets() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vim::dist
