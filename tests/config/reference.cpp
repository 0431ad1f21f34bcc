#include <catch2/catch.hpp>
#include <sstream>

#include "config/sample.h"

using namespace sample;

TEST_CASE("The reference tells every key, its kind and its default") {
  CHECK(vim::config::reference<Config>(72) == R"(# Folder of the data. (text, not empty)
root: data
# Where to run. (auto or text)
device: auto
# Largest norm of the gradient. (auto or a number > 0)
clip: auto
# Trade exactness for speed. (auto, true or false)
fast: auto
# Another way to pool. (auto, mean, max or last)
pool: auto
# Epochs at which something happens. (a list, each a whole number >= 1)
milestones: [30, 60]
# Names of the classes. (a list, each text)
classes: []
# Some switches. (a list, each true or false)
flags: []
# Several ways to pool. (a list, each mean, max or last)
pools: []
# What happens to an image, in this order. (a list of the following)
#   # Mirrors the image.
#   - flip
#   # Adds a border.
#   - pad:
#       # Width of the border in pixels. (a whole number >= 0)
#       size: 4
#       # Colour of the border. (text)
#       colour: black
#   # Cuts out a part.
#   - crop:
#       # Smallest and largest share of the area. (a list of 2, each a
#       # number from 0 to 1)
#       scale: [0.08, 1]
#       # Size afterwards. (a size or [height, width] > 0)
#       to: 224
transforms:
  - crop: {scale: [0.08, 1], to: 224}
  - flip

# The network.
model:
  # Architecture. (text, not empty)
  name: vim
  # Input size in pixels. (a size or [height, width] > 0)
  image_size: 224
  # Number of blocks. (a whole number from 1 to 1000)
  depth: 24
  # Rank of the step size; auto: embed_dim / 16. (auto or a whole number
  # >= 1)
  dt_rank: auto
  # What the head sees. (mean, max or last)
  pool: mean
  # Use rotary position embedding. (true or false)
  rotary: false

# How parameters are updated.
optim:
  # Peak learning rate for a global batch of 512. (a number > 0)
  lr: 0.0005
  # Learning rate at the end. (a number >= 0)
  min_lr: 1e-5
  # Decoupled weight decay. (a number >= 0)
  weight_decay: 0.05
  # Decay of the moments. (a list of 2, each a number >= 0 and < 1)
  betas: [0.9, 0.999]
)");
}

TEST_CASE("The reference is a config file that changes nothing") {
  for (size_t width : {40, 72, 200}) {
    CHECK(vim::config::load_text<Config>(vim::config::reference<Config>(width), "x") == Config{});
  }
}

TEST_CASE("What the reference comments out can be uncommented") {
  std::istringstream lines(vim::config::reference<Config>());
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#   ")) text += "  " + line.substr(4) + "\n";
  }
  const std::vector<Transform> all = {Flip{}, Pad{}, Crop{}};
  CHECK(vim::config::load_text<Config>("transforms:\n" + text, "x").transforms == all);
}

TEST_CASE("The reference keeps to the width where words allow") {
  std::istringstream lines(vim::config::reference<Config>(60));
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK((line.size() <= 60 || line.find('#') == std::string::npos));
  }
}
