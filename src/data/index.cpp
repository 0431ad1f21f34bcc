#include <filesystem>

#include "data/datasets.h"
#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/text.h"
#include "vim/data/commands.h"

namespace fs = std::filesystem;

namespace vim::data {
namespace {

ListingParts list(const DataConfig& config, Split split) {
  if (config.format == Format::kWebdataset) {
    return list_webdataset(config.root, shards_of(config, split));
  }
  VIM_CHECK(config.format == Format::kImageFolder);
  return list_image_folder(config.root, split);
}

}  // namespace

void index(const IndexCommand& command) {
  DataConfig config = command.data;
  config.index = command.output.string();
  fs::create_directories(command.output);
  for (const Split split : {Split::kTrain, Split::kVal}) {
    const Listing listing(list(config, split));
    const fs::path file = index_of(config, split);
    listing.write(file);
    log::info(concat(file.string(), ": ", with_separators(listing.size()), " images of ",
                     with_separators(std::ssize(listing.classes())), " classes, ",
                     as_bytes(static_cast<double>(fs::file_size(file)))));
  }
}

}  // namespace vim::data
