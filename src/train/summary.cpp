#include "train/summary.h"

#include <sys/resource.h>

#include <chrono>
#include <iomanip>
#include <sstream>

#include "vim/core/text.h"
#include "vim/nn/model.h"

namespace vim::train {
namespace {

double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

// Weights, their average and two moments, in fp32.
double checkpoint_bytes(const RunConfig& config, int64_t parameters) {
  return 4.0 * static_cast<double>(parameters) * (config.ema.enabled ? 4 : 3);
}

}  // namespace

std::string summary(const RunConfig& config, tasks::Task& task, Trainer& trainer,
                    const RunFolder& folder) {
  const auto start = std::chrono::steady_clock::now();
  const double loss = trainer.try_batch();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const int64_t parameters = nn::count_parameters(task.model());
  const nn::ModelConfig& model = config.model;

  std::ostringstream out;
  const auto line = [&](const std::string& name, const auto&... value) {
    out << std::left << std::setw(16) << name << concat(value...) << "\n";
  };
  line("model", model.name, ", ", with_separators(parameters), " parameters");
  line("tokens", model.tokens(), " (", model.grid_height(), " x ", model.grid_width(), " patches, ",
       model.class_tokens(), " class)");
  const double multiply_adds = task.multiply_adds_per_image();
  const bool is_small = multiply_adds < 1e9;
  line("multiply-adds", fixed(multiply_adds / (is_small ? 1e6 : 1e9), 3), is_small ? " M" : " G",
       " an image");
  line("classes", task.classes().size());
  line("data",
       data::description(task.train_loader(), {model.image_size.height, model.image_size.width},
                         config.data.channels));
  line("global batch", trainer.global_batch(), " images (", config.data.batch_size, " x ",
       config.train.accumulation, " accumulated x ", trainer.processes(), " processes)");
  line("steps", with_separators(trainer.steps_per_epoch()), " an epoch, ",
       with_separators(trainer.steps_per_epoch() * config.train.epochs), " in ",
       config.train.epochs, " epochs");
  line("learning rate", trainer.peak_lr(), " at the peak (optim.lr ", config.optim.lr, ")");
  line("one batch", "loss ", fixed(loss, 4), ", ", fixed(seconds, 2), " s forward and backward");
  line("memory", as_bytes(peak_memory()), " at the peak so far");
  line("would write", folder.root().string(), "/: config.yaml, metrics.jsonl, checkpoints/ of ",
       as_bytes(checkpoint_bytes(config, parameters)), " each");
  return out.str();
}

}  // namespace vim::train
