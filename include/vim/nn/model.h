// The models, as a task sees them.
#pragma once

#include <torch/nn/module.h>

#include <memory>

#include "vim/nn/config.h"

namespace vim::nn {

// An image classifier. Parameters are named as in the official code, so that weights load by name.
class Classifier : public torch::nn::Module {
 public:
  // What goes into the head: [batch, embed_dim], or [batch, length, embed_dim] where the head is
  // applied to every token (pool: max). images: [batch, in_channels, height, width], normalised.
  virtual at::Tensor features(const at::Tensor& images) = 0;

  // The head: class scores [batch, num_classes] of `features`.
  virtual at::Tensor classify(const at::Tensor& features) = 0;

  at::Tensor forward(const at::Tensor& images) { return classify(features(images)); }
};

// Builds and initialises the model; random numbers come from torch's default CPU generator.
std::shared_ptr<Classifier> make_classifier(const ModelConfig& config);

// Whether a forward pass in training does the same work each time, with no random choice made on the
// host: what a CUDA graph may record.
bool is_capturable(const ModelConfig& config);

int64_t count_parameters(const torch::nn::Module& model);

// Multiply-adds (the vision literature's "FLOPs") of one image's forward pass. The scan counts as 9
// operations a token, channel and state, as in the Mamba authors' convention, the convolution as
// kernel multiply-adds.
double count_multiply_adds(const ModelConfig& config);

}  // namespace vim::nn
