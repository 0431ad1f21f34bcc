// A config with a field of every type.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "vim/config/config.h"
#include "vim/core/text.h"

namespace sample {

enum class Pool { kMean, kMax, kLast };

// A leaf of its own: `224` or `[height, width]`.
struct Size {
  int64_t height = 224;
  int64_t width = 224;
  bool operator==(const Size&) const = default;
};

struct Flip {
  static constexpr std::string_view kName = "flip";
  static constexpr std::string_view kDoc = "Mirrors the image.";
  bool operator==(const Flip&) const = default;
};

struct Pad {
  static constexpr std::string_view kName = "pad";
  static constexpr std::string_view kDoc = "Adds a border.";
  int64_t size = 4;
  std::string colour = "black";
  bool operator==(const Pad&) const = default;
};

struct Crop {
  static constexpr std::string_view kName = "crop";
  static constexpr std::string_view kDoc = "Cuts out a part.";
  std::array<double, 2> scale = {0.08, 1};
  Size to;
  bool operator==(const Crop&) const = default;
};

using Transform = std::variant<Flip, Pad, Crop>;

struct Optim {
  double lr = 5e-4;
  double min_lr = 1e-5;
  double weight_decay = 0.05;
  std::array<double, 2> betas = {0.9, 0.999};
  bool operator==(const Optim&) const = default;
};

struct Model {
  std::string name = "vim";
  Size image_size;
  int64_t depth = 24;
  std::optional<int64_t> dt_rank;
  Pool pool = Pool::kMean;
  bool rotary = false;
  bool operator==(const Model&) const = default;
};

struct Config {
  std::string root = "data";
  std::optional<std::string> device;
  std::optional<double> clip;
  std::optional<bool> fast;
  std::optional<Pool> pool;
  std::vector<int64_t> milestones = {30, 60};
  std::vector<std::string> classes;
  std::vector<bool> flags;
  std::vector<Pool> pools;
  std::vector<Transform> transforms = {Crop{}, Flip{}};
  Model model;
  Optim optim;
  bool operator==(const Config&) const = default;
};

using vim::config::at_least;
using vim::config::fraction;
using vim::config::positive;

inline void describe(vim::config::Visitor&, Flip&) {}

inline void describe(vim::config::Visitor& v, Pad& c) {
  v("size", c.size, "Width of the border in pixels.", at_least(0));
  v("colour", c.colour, "Colour of the border.");
}

inline void describe(vim::config::Visitor& v, Crop& c) {
  v("scale", c.scale, "Smallest and largest share of the area.", fraction);
  v("to", c.to, "Size afterwards.", positive);
}

inline void check(const Crop& c, vim::config::Problems& problems) {
  if (c.scale[0] > c.scale[1]) problems.add("scale", "the smallest share is above the largest");
}

inline void describe(vim::config::Visitor& v, Optim& c) {
  v("lr", c.lr, "Peak learning rate for a global batch of 512.", positive);
  v("min_lr", c.min_lr, "Learning rate at the end.", at_least(0));
  v("weight_decay", c.weight_decay, "Decoupled weight decay.", at_least(0));
  v("betas", c.betas, "Decay of the moments.", vim::config::below_one);
}

inline void check(const Optim& c, vim::config::Problems& problems) {
  if (c.min_lr > c.lr) problems.add("min_lr", vim::concat("is above optim.lr, which is ", c.lr));
}

inline void describe(vim::config::Visitor& v, Model& c) {
  v("name", c.name, "Architecture.", vim::config::not_empty);
  v("image_size", c.image_size, "Input size in pixels.", positive);
  v("depth", c.depth, "Number of blocks.", vim::config::between(1, 1000));
  v("dt_rank", c.dt_rank, "Rank of the step size; auto: embed_dim / 16.", at_least(1));
  v("pool", c.pool, "What the head sees.");
  v("rotary", c.rotary, "Use rotary position embedding.");
}

inline void describe(vim::config::Visitor& v, Config& c) {
  v("root", c.root, "Folder of the data.", vim::config::not_empty);
  v("device", c.device, "Where to run.");
  v("clip", c.clip, "Largest norm of the gradient.", positive);
  v("fast", c.fast, "Trade exactness for speed.");
  v("pool", c.pool, "Another way to pool.");
  v("milestones", c.milestones, "Epochs at which something happens.", at_least(1));
  v("classes", c.classes, "Names of the classes.");
  v("flags", c.flags, "Some switches.");
  v("pools", c.pools, "Several ways to pool.");
  v("transforms", c.transforms, "What happens to an image, in this order.");
  v("model", c.model, "The network.");
  v("optim", c.optim, "How parameters are updated.");
}

}  // namespace sample

namespace vim::config {

template <>
inline constexpr auto enum_names<sample::Pool> = named<sample::Pool>(
    {{sample::Pool::kMean, "mean"}, {sample::Pool::kMax, "max"}, {sample::Pool::kLast, "last"}});

template <>
struct Leaf<sample::Size> {
  static std::string kind() { return "a size or [height, width]"; }
  static bool read(const Node& node, sample::Size& value) {
    if (!node.is_sequence()) {
      return Leaf<int64_t>::read(node, value.height) && (value.width = value.height, true);
    }
    return node.items.size() == 2 && Leaf<int64_t>::read(node.items[0], value.height) &&
           Leaf<int64_t>::read(node.items[1], value.width);
  }
  static Node write(const sample::Size& value) {
    const Node height = Leaf<int64_t>::write(value.height);
    if (value.height == value.width) return height;
    return Node::sequence({height, Leaf<int64_t>::write(value.width)});
  }
};

}  // namespace vim::config
