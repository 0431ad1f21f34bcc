// What the trainer and the evaluator know of a task.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "vim/data/config.h"
#include "vim/data/loader.h"
#include "vim/dist/process_group.h"
#include "vim/nn/config.h"
#include "vim/tasks/config.h"

namespace torch::nn {
class Module;
}

namespace vim::tasks {

// Names and values; the first is the one that decides which checkpoint is best, and larger is
// better.
using Metrics = std::vector<std::pair<std::string, double>>;

// What a loss is computed from: tensors on the device, whose number and shapes are the same for
// every batch of a run.
using Inputs = std::vector<at::Tensor>;

// What a training step knows of a task.
class Objective {
 public:
  virtual ~Objective() = default;

  virtual torch::nn::Module& model() = 0;

  // The mean loss of a batch, a differentiable scalar on the device. Where
  // nn::is_capturable says so it neither waits for the device nor decides anything on the host, and
  // can be recorded once and replayed.
  virtual at::Tensor loss(const Inputs& inputs) = 0;
};

class Task : public Objective {
 public:
  // The batches of this rank.
  virtual data::Loader& train_loader() = 0;

  // Brings a batch to the device: normalised, mixed, its labels as targets.
  virtual Inputs prepare(const data::Batch& batch) = 0;

  // Over the whole evaluation set and all ranks, with the model's present weights. Leaves the model
  // in training mode as it found it.
  virtual Metrics evaluate() = 0;

  // Names of the classes in the order of the head's outputs.
  virtual const std::vector<std::string>& classes() const = 0;

  virtual double multiply_adds_per_image() const = 0;
};

// Model and loss alone, where no data are needed. Builds the model as make_task does.
std::unique_ptr<Objective> make_objective(const TaskConfig& task, const nn::ModelConfig& model,
                                          at::Device device);

struct TaskContext {
  TaskConfig task;
  nn::ModelConfig model;
  data::DataConfig data;
  uint64_t seed = 0;
  at::Device device = at::kCPU;
  dist::ProcessGroup* group = nullptr;  // outlives the task
  bool for_training = true;             // else only evaluation data are opened
};

// Builds the model (random numbers from torch's default generator) and opens the data.
std::unique_ptr<Task> make_task(const TaskContext& context);

}  // namespace vim::tasks
