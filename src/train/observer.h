// What a model computes on the way, in numbers: of its layers' outputs and of all gradients.
//
// LibTorch's dispatcher tells of every operator that runs; one that takes a parameter is called by
// the module of that parameter, "layers.3.mixer.in_proj", and those after it by what they follow.
// So models need no code for it, and a step that is not observed costs nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "vim/tasks/task.h"

namespace vim::train {

enum class ObservedKind { kInput, kWeight, kOutput, kOutputGradient, kWeightGradient };

// Of the finite values, and how many are not; min, max and mean_abs are not finite where no value
// is.
struct Statistics {
  double min = 0, max = 0, mean_abs = 0;
  int64_t not_finite = 0;
};

struct Observed {
  ObservedKind kind;
  std::string name;  // of the weight, or of the layer
  std::string op;    // of an output: what made it
  bool in_layer;     // else by an operator without weights, after that layer
  std::vector<int64_t> shape;
  at::ScalarType type;
  Statistics statistics;
};

// "the output of linear in layers.3.mixer.in_proj"
std::string in_words(const Observed& observed);

class Observer {
 public:
  enum class Detail { kLayers, kEverything };  // outputs of operators with weights, or of all

  // The model outlives this.
  Observer(torch::nn::Module& model, Detail detail);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // Outputs computed by this thread while it lives are observed, and their gradients in the
  // backward pass after it. Nothing where `observer` is null.
  class Scope {
   public:
    explicit Scope(Observer* observer);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    bool active_;
    uint64_t handle_ = 0;
  };

  void note_inputs(const tasks::Inputs& inputs);
  void note_weights();
  // Those that the weights hold, divided by the scale of the loss where there is one.
  void note_gradients(const at::Tensor& loss_scale = {});

  // In the order in which it was computed. Waits for the device.
  std::vector<Observed> read() const;

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace vim::train
