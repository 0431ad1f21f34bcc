#include <utility>

#include "data/encode.h"
#include "vim/config/config.h"
#include "vim/core/file.h"
#include "vim/data/commands.h"
#include "vim/data/fixed_transforms.h"
#include "vim/data/image.h"

namespace vim::data {

void apply(const ApplyCommand& command) {
  fixed::List list;
  config::Loader loader(list);
  loader.set("transforms=" + command.transforms);
  loader.finish();
  const cv::Mat image = fixed::apply(list, read_image(command.input));
  write_atomically(command.output, encode_png(image));
}

}  // namespace vim::data
