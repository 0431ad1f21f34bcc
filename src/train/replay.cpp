// vim-train --replay: a step that went wrong once more, tensor by tensor.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "train/checkpoint.h"
#include "train/device.h"
#include "train/dump.h"
#include "train/observer.h"
#include "train/train_step.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/core/version.h"
#include "vim/train/commands.h"

namespace vim::train {
namespace {

constexpr int kNumberWidth = 13;

void print_row(size_t width, const std::string& name, const std::vector<std::string>& columns) {
  std::cout << std::left << std::setw(static_cast<int>(width)) << name << std::right;
  for (const std::string& column : columns) std::cout << std::setw(kNumberWidth) << column;
  std::cout << "\n";
}

std::string number(double value) {
  std::ostringstream out;
  out << std::setprecision(5) << value;
  return std::isfinite(value) ? std::move(out).str() : "-";  // there is no finite value
}

// A NaN has a sign, which says nothing.
double without_sign_of_nan(double value) {
  return std::isnan(value) ? std::abs(value) : value;
}

void print_table(const std::vector<Observed>& rows) {
  std::vector<std::string> names;
  size_t width = 0;
  for (const Observed& row : rows) {
    names.push_back(concat(in_words(row), " ", at::IntArrayRef(row.shape)));
    width = std::max(width, names.back().size());
  }
  print_row(width, "tensor", {"min", "max", "mean |x|", "not finite"});
  for (size_t i = 0; i < rows.size(); ++i) {
    const Statistics& s = rows[i].statistics;
    print_row(width, names[i],
              {number(s.min), number(s.max), number(s.mean_abs), std::to_string(s.not_finite)});
  }
}

std::string verdict(const std::vector<Observed>& rows) {
  for (const Observed& row : rows) {
    if (row.statistics.not_finite == 0) continue;
    return concat("the first tensor that went wrong: ", in_words(row), ", ",
                  c10::getDtypeNames(row.type).first, " ", at::IntArrayRef(row.shape), ", with ",
                  row.statistics.not_finite, " values that are not finite");
  }
  return "every tensor is finite here: on another device or in another precision than in training, "
         "or only the norm of the gradients overflows";
}

void move_to(std::vector<tasks::Inputs>& batches, at::Device device) {
  for (tasks::Inputs& inputs : batches) {
    for (at::Tensor& tensor : inputs) tensor = tensor.to(device);
  }
}

}  // namespace

void replay(const ReplayCommand& command) {
  const std::string source = command.dump.string();
  Dump dump = load_dump(command.dump);
  const auto config = config::load_text<RunConfig>(dump.config, "the configuration in " + source,
                                                   command.overrides);
  if (dump.version != version()) {
    log::warning(concat(source, ": written by version ", dump.version, ", this is ", version()));
  }
  if (config.threads) at::set_num_threads(static_cast<int>(*config.threads));
  const c10::Device device = choose_device(config.device);
  allow_tf32(config.train.precision);
  const auto objective = tasks::make_objective(config.task, config.model, device);
  nn::load_weights(objective->model(), dump.weights, source);
  freeze(objective->model(), config.optim.freeze);
  objective->model().train();
  AdamW optimizer(objective->model(), config.optim);
  TrainStep step(config, *objective, optimizer, nullptr);
  step.load_state({{"loss_scale", at::full({}, dump.loss_scale)}});
  for (auto& [rank, batches] : dump.inputs) {
    move_to(batches, device);
    optimizer.zero_gradients();
    seed_step(config.seed, dump.step - 1, rank);
    Observer observer(objective->model(), Observer::Detail::kEverything);
    observer.note_weights();
    const double loss = step.backward(batches, &observer).item<double>();
    const std::vector<Observed> rows = observer.read();
    print_table(rows);
    std::cout << "step " << dump.step << ", rank " << rank << " of " << dump.processes << ": loss "
              << without_sign_of_nan(loss) << ", norm of the gradients "
              << without_sign_of_nan(optimizer.gradient_norm().item<double>()) << "; "
              << verdict(rows) << "\n";
  }
}

}  // namespace vim::train
