#include "vim/train/config.h"

#include "vim/config/problems.h"
#include "vim/core/text.h"

namespace vim::train {

using config::at_least;
using config::positive;

void describe(config::Visitor& v, OptimConfig& c) {
  v("lr", c.lr, "Peak learning rate, for a global batch of lr_base_batch images.", positive);
  v("lr_base_batch", c.lr_base_batch,
    "Global batch for which lr is meant; with another batch it is scaled in proportion. 0: never "
    "scaled.",
    at_least(0));
  v("weight_decay", c.weight_decay,
    "Decoupled weight decay; skips one-dimensional parameters, biases, position embedding and "
    "class tokens.",
    at_least(0));
  v("betas", c.betas, "Decay of AdamW's running mean of gradients, and of their squares.",
    config::between(0, 1));
  v("eps", c.eps, "Added to AdamW's denominator.", positive);
  v("clip_grad", c.clip_grad, "Largest norm of all gradients together; 0: no clipping.",
    at_least(0));
  v("decay_A_log", c.decay_A_log, "Decay the state matrices A_log too, as the official code does.");
  v("layer_decay", c.layer_decay,
    "For fine-tuning: the learning rate of a block is that of the next one times this; the head "
    "has the full one, the embeddings the smallest.",
    {.minimum = 0, .maximum = 1, .exclusive_minimum = true});
  v("freeze", c.freeze,
    "Parameters that keep their values: names or patterns like patch_embed.*, layers.?.*.");
}

void describe(config::Visitor& v, ScheduleConfig& c) {
  v("warmup_epochs", c.warmup_epochs, "Epochs of linear warm-up.", at_least(0));
  v("warmup_prefix", c.warmup_prefix,
    "Start the cosine at the end of the warm-up; else it runs from the first epoch and the warm-up "
    "hides its beginning.");
  v("warmup_lr", c.warmup_lr, "Learning rate at the start of the warm-up; not scaled by the batch.",
    at_least(0));
  v("min_lr", c.min_lr, "Learning rate at the end of the cosine; not scaled by the batch.",
    at_least(0));
  v("per_epoch", c.per_epoch,
    "Change the learning rate once an epoch, as the official code does, not every step.");
  v("lr_epoch_offset", c.lr_epoch_offset,
    "With per_epoch, train epoch e at the rate of epoch e - 1, as the official code does.");
}

void describe(config::Visitor& v, EmaConfig& c) {
  v("enabled", c.enabled, "Keep a moving average of the weights, evaluate and save it.");
  v("decay", c.decay, "Weight of the old average in each step.", config::between(0, 1));
}

void describe(config::Visitor& v, CheckpointConfig& c) {
  v("every_steps", c.every_steps,
    "Save last.safetensors every so many steps within an epoch; 0: at epochs only.", at_least(0));
  v("every_epochs", c.every_epochs, "Save last.safetensors at the end of every n-th epoch.",
    at_least(1));
  v("keep_last", c.keep_last,
    "Newest checkpoints to keep: last.safetensors, previous.safetensors, previous_2.safetensors...",
    at_least(1));
  v("keep_every_epochs", c.keep_every_epochs,
    "Keep a checkpoint of its own every n epochs; 0: none.", at_least(0));
  v("on_error", c.on_error,
    "Where a checkpoint or metrics.jsonl cannot be written (a full disk, say): stop, or warn and "
    "continue.");
}

void describe(config::Visitor& v, TrainConfig& c) {
  v("epochs", c.epochs, "Passes over the training images.", at_least(1));
  v("precision", c.precision,
    "Numbers of matrix products and activations: fp32, tf32, bf16, or fp16 with a loss scale. On "
    "the CPU everything is fp32.");
  v("cuda_graph", c.cuda_graph,
    "On a GPU, record a training step once and replay it: the same numbers, less waiting for the "
    "CPU. A model that makes random choices on the host is not recorded.");
  v("accumulation", c.accumulation, "Batches whose gradients are averaged into one step.",
    at_least(1));
  v("evaluate_every_epochs", c.evaluate_every_epochs,
    "Evaluate every n epochs, and always after the last one; 0: only then.", at_least(0));
  v("log_every_steps", c.log_every_steps, "Steps between two lines of metrics.jsonl.", at_least(1));
  v("statistics_every_steps", c.statistics_every_steps,
    "Every so many steps, write range and mean of each layer's output and of all gradients to "
    "metrics.jsonl; 0: never.",
    at_least(0));
  v("max_skipped_steps", c.max_skipped_steps,
    "A step whose loss or gradients are not finite is skipped, and dumped for vim-train --replay; "
    "so many in a run, and one more ends it. With fp16, steps that only lower the loss scale do "
    "not count.",
    at_least(0));
}

void describe(config::Visitor& v, RunConfig& c) {
  v("seed", c.seed, "Seed of everything random.", at_least(0));
  v("device", c.device, "auto (the GPU where there is one), cpu, cuda, or cuda:1.",
    config::not_empty);
  v("threads", c.threads, "CPU threads for the model; auto: one a core.", at_least(1));
  v("task", c.task, "What is learnt.");
  v("model", c.model, "The network.");
  v("data", c.data, "Images: where they lie and how they reach the model.");
  v("optim", c.optim, "AdamW.");
  v("schedule", c.schedule, "Learning rate over time: warm-up, then cosine.");
  v("ema", c.ema, "Moving average of the weights.");
  v("train", c.train, "The training loop.");
  v("dist", c.dist, "Several processes that train together.");
  v("checkpoint", c.checkpoint, "When the state is saved.");
}

void check(const RunConfig& c, config::Problems& problems) {
  if (c.data.channels != c.model.in_channels) {
    problems.add("data.channels",
                 concat("the images have ", c.data.channels, " channels and the model takes ",
                        c.model.in_channels, " (model.in_channels); make them equal"));
  }
  if (c.schedule.warmup_epochs > static_cast<double>(c.train.epochs)) {
    problems.add("schedule.warmup_epochs",
                 concat("a warm-up of ", c.schedule.warmup_epochs, " epochs is longer than the ",
                        c.train.epochs, " epochs of train.epochs"));
  }
  if (c.schedule.lr_epoch_offset && !c.schedule.per_epoch) {
    problems.add("schedule.lr_epoch_offset", "has no meaning without per_epoch: true");
  }
}

}  // namespace vim::train
