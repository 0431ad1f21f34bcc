#include <utility>

#include "data/encode.h"
#include "vim/config/config.h"
#include "vim/data/commands.h"
#include "vim/data/fixed_transforms.h"
#include "vim/data/image.h"

namespace vim::data {

void apply(const ApplyCommand& command) {
  fixed::List list;
  config::Loader loader(list);
  loader.set("transforms=" + command.transforms, "--transforms");
  loader.finish();
  const cv::Mat image = fixed::apply(list, read_image(command.input));
  write_png(command.output, image);
}

}  // namespace vim::data
