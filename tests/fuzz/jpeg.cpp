#include <turbojpeg.h>

#include <cstdlib>

#include "data/exif.h"
#include "data/jpeg_part.h"
#include "fuzz/target.h"
#include "vim/data/image.h"

namespace vim::fuzz {
namespace {

constexpr int64_t kMaxSmall = 1 << 20;  // pixels; more would be slow, and no finding

// What the header declares, for any JPEG; 0 where it declares nothing.
int64_t declared_pixels(std::string_view bytes) {
  const tjhandle handle = tjInitDecompress();
  int width = 0, height = 0, subsampling = 0, colorspace = 0;
  tjDecompressHeader3(handle, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                      &width, &height, &subsampling, &colorspace);
  tjDestroy(handle);
  return int64_t{width} * height;
}

}  // namespace

void read(std::string_view bytes) {
  const int orientation = data::exif_orientation(bytes);
  if (orientation < 1 || orientation > 8) std::abort();
  if (declared_pixels(bytes) > kMaxSmall) return;
  if (const auto size = data::jpeg_size_for_parts(bytes)) {
    const cv::Rect part(size->width / 3, size->height / 4, (size->width + 1) / 2,
                        (size->height + 1) / 2);
    const auto exact = data::decode_jpeg_part(bytes, part);
    if (exact && exact->size() != part.size()) std::abort();
    const auto fast = data::decode_jpeg_part_fast(bytes, part, {3, 3});
    if (fast && (fast->cols < std::min(3, part.width) || fast->rows < std::min(3, part.height))) {
      std::abort();
    }
  }
  if (data::decode_image(bytes).empty()) std::abort();
}

}  // namespace vim::fuzz
