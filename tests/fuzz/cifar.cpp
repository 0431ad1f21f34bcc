#include "data/datasets.h"
#include "fuzz/target.h"
#include "vim/data/sample.h"

namespace vim::fuzz {

void read(std::string_view bytes) {
  write(folder() / "train.bin", bytes);
  const auto dataset = data::open_cifar(folder(), data::Split::kTrain, 3);
  for (int64_t i = 0; i < dataset->size(); ++i) dataset->get(i);
}

}  // namespace vim::fuzz
