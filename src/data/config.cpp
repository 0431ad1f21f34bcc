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
    "or CIFAR-100. packed: train.vimpack and val.vimpack, as `vim-data pack` writes them. "
    "webdataset: tar files of images (jpg, jpeg, png), each beside a label: cls, a number; txt, a "
    "number or a class's name; json, either, or an object with it at \"label\". Numbers are named "
    "by a line each of classes.txt, where the folder has one.");
  v("root", c.root, "Folder with the images.", config::not_empty);
  v("train_shards", c.train_shards,
    "webdataset: the training files below root, with {000..146}, {a,b}, *, ? and [a-z]; auto: "
    "train/*.tar or *train*.tar.");
  v("val_shards", c.val_shards, "The same for evaluation; auto: val/*.tar or *val*.tar.");
  v("shuffle_window", c.shuffle_window,
    "webdataset: shards come in random order, and so many images, from 64 places of that order, "
    "are mixed at a time; auto: 16384. As many as there are, or more, is a full shuffle, for disks "
    "to which all places are near.",
    at_least(1));
  v("index", c.index,
    "image_folder, webdataset: folder with train.vimindex and val.vimindex, as `vim-data index` "
    "writes them, which save listing and scanning; auto: root, where they are there.");
  v("channels", c.channels, "3 (RGB; grey images are repeated) or 1 (grey).",
    config::between(1, 3));
  v("exif_transpose", c.exif_transpose,
    "Turn photographs upright as their EXIF data say; off in torchvision and timm.");
  v("batch_size", c.batch_size,
    "Images a process and batch; train.accumulation batches make a step.", at_least(1));
  v("eval_batch_size", c.eval_batch_size, "The same in evaluation; auto: batch_size.", at_least(1));
  v("workers", c.workers,
    "Threads that read and transform images; auto: one for each core that the process may use.",
    config::between(1, 1024));
  v("prefetch", c.prefetch,
    "Batches that are ready or in work; auto: as many as keep the workers busy with two ready, in "
    "an eighth of the free memory at most.",
    config::between(1, 1024));
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
