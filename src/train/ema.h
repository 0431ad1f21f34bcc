// An exponential moving average of a model's weights (timm's ModelEma, without warm-up).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "vim/nn/weights.h"

namespace vim::train {

class Ema {
 public:
  // Starts as a copy of the model's weights. The model must outlive this.
  Ema(const torch::nn::Module& model, double decay);

  // A step of the optimiser sets average = decay * average + (1 - decay) * weight for each weight
  // that is trained (AdamW::step); the others stay what they are.
  double decay() const { return decay_; }

  // Exchanges the model's weights with the average; twice is nothing.
  void swap();

  // The average under the model's names; the tensors are this object's own.
  const nn::Weights& weights() const { return average_; }
  void load(const nn::Weights& weights, const std::string& source);

 private:
  double decay_;
  nn::Weights live_;  // the model's own tensors
  nn::Weights average_;
};

// Shows the averaged weights in the model for as long as it lives.
class EmaScope {
 public:
  explicit EmaScope(Ema& ema) : ema_(ema) { ema_.swap(); }
  ~EmaScope() { ema_.swap(); }
  EmaScope(const EmaScope&) = delete;
  EmaScope& operator=(const EmaScope&) = delete;

 private:
  Ema& ema_;
};

}  // namespace vim::train
