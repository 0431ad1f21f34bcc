#include "vim/data/config.h"

#include "vim/core/text.h"

namespace vim::data {

using config::at_least;

void describe(config::Visitor& v, DataConfig& c) {
  v("format", c.format,
    "idx: {train,t10k}-{images-idx3,labels-idx1}-ubyte, perhaps with .gz, as MNIST's. "
    "image_folder: "
    "train/<class>/ and val/<class>/ with JPEG and PNG files. cifar: the binary version of "
    "CIFAR-10 "
    "or CIFAR-100. packed: train.vimpack and val.vimpack, as `vim-data pack` writes them.");
  v("root", c.root, "Folder with the images.", config::not_empty);
  v("channels", c.channels, "3 (RGB; grey images are repeated) or 1 (grey).",
    config::between(1, 3));
  v("batch_size", c.batch_size,
    "Images a process and batch; train.accumulation batches make a step.", at_least(1));
  v("eval_batch_size", c.eval_batch_size, "The same in evaluation; auto: batch_size.", at_least(1));
  v("workers", c.workers, "Threads that read and transform images; auto: one a core.",
    config::between(1, 1024));
  v("prefetch", c.prefetch, "Batches that are ready or in work.", config::between(1, 1024));
  v("on_error", c.on_error,
    "On an image that cannot be read: stop; or skip it, with a count: training takes the next "
    "one.");
  v("train_transforms", c.train_transforms, "What happens to a training image, in order.");
  v("repeats", c.repeats,
    "Repeated augmentation: an epoch shows a part of the images, each so many times, transformed "
    "anew; 3 in the DeiT recipe. Above 1 its length is the official one, whole multiples of 256 "
    "images.",
    config::between(1, 100));
  v("erasing", c.erasing, "Random erasing in training images, on the device.");
  v("mixing", c.mixing, "Mixup and CutMix of training batches, on the device.");
  v("eval_transforms", c.eval_transforms, "What happens to an evaluation image, in order.");
  v("mean", c.mean, "Mean of each channel, of values in 0..1; subtracted.");
  v("std", c.std, "Standard deviation of each channel; divides.", config::positive);
}

void check(const DataConfig& c, config::Problems& problems) {
  if (c.channels == 2) problems.add("channels", "expected 1 or 3, got 2");
  const auto check_count = [&](const char* key, const std::vector<double>& values) {
    if (static_cast<int64_t>(values.size()) != c.channels) {
      problems.add(key, concat("expected one number for each of the ", c.channels,
                               " channels, got ", values.size()));
    }
  };
  check_count("mean", c.mean);
  check_count("std", c.std);
}

}  // namespace vim::data
