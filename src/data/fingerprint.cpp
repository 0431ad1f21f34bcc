#include <algorithm>

#include "vim/core/error.h"
#include "vim/core/hash.h"
#include "vim/core/text.h"
#include "vim/data/dataset.h"
#include "vim/data/sample.h"

namespace vim::data {
namespace {

constexpr int64_t kLookedAt = 16;

// Of the label and the file, or the pixels where no file is left to decode.
std::string content(const Dataset& dataset, int64_t id) {
  try {
    const Sample sample = dataset.read(id);
    const cv::Mat pixels = sample.image.clone();  // in one piece
    return concat(sample.label, " ", hex(hash64(sample.jpeg)), " ",
                  hex(hash64(pixels.data, pixels.total() * pixels.elemSize())), "\n");
  } catch (const Error&) {
    return "unreadable\n";
  }
}

}  // namespace

std::string fingerprint(const Dataset& dataset) {
  uint64_t names = 0;
  for (int64_t id = 0; id < dataset.size(); ++id) names = hash64(hex(names) + dataset.name(id));
  std::string contents;
  const int64_t looks = std::min(kLookedAt, dataset.size());
  for (int64_t i = 0; i < looks; ++i) contents += content(dataset, i * dataset.size() / looks);
  return concat("images: ", dataset.size(), "\nclasses: ", join(dataset.classes(), " "),
                "\nhash of the names: ", hex(names), "\nhash of ", looks,
                " images: ", hex(hash64(contents)), "\n");
}

}  // namespace vim::data
