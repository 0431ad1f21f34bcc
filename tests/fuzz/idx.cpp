#include <string>

#include "data/datasets.h"
#include "fuzz/target.h"
#include "vim/data/sample.h"

namespace vim::fuzz {

// The bytes as the images' file, and as the labels'; the other one is good.
void read(std::string_view bytes) {
  using namespace std::string_literals;
  static const std::string good_labels = "\0\0\x08\x01\0\0\0\x02\1\0"s;
  static const std::string good_images =
      "\0\0\x08\x03\0\0\0\x02\0\0\0\3\0\0\0\4"s + std::string(24, 'x');
  const bool are_labels = bytes.starts_with(std::string_view(good_labels).substr(0, 4));
  write(folder() / "train-labels-idx1-ubyte", are_labels ? bytes : good_labels);
  write(folder() / "train-images-idx3-ubyte", are_labels ? good_images : bytes);
  const auto dataset = data::open_idx(folder(), data::Split::kTrain, 3);
  for (int64_t i = 0; i < dataset->size(); ++i) dataset->get(i);
}

}  // namespace vim::fuzz
