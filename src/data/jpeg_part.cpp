// TurboJPEG's interface decodes whole images only, so this is libjpeg's: rows above the part are
// skipped (entropy decoding alone), columns beside it are not transformed, rows below are not read.
#include "data/jpeg_part.h"

// jpeglib.h needs these before it.
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>

#include "data/codecs.h"
#include "vim/core/error.h"

namespace vim::data {
namespace {

// A decompressor whose errors end the step they happen in.
class Decoder {
 public:
  Decoder() {
    info.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = on_error;
    errors_.manager.emit_message = on_message;
    made_ = run([this] { jpeg_create_decompress(&info); });
  }
  ~Decoder() {
    if (made_) jpeg_destroy_decompress(&info);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // False where the library gives up in the middle of `step`, which therefore owns nothing.
  template <class Step>
  bool run(const Step& step) {
    if (setjmp(errors_.back) != 0) return false;
    step();
    return true;
  }

  bool read_header(std::string_view bytes) {
    return made_ && run([&] {
             jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()),
                          bytes.size());
             jpeg_read_header(&info, TRUE);
           });
  }
  bool warned() const { return info.err->num_warnings > 0; }

  jpeg_decompress_struct info{};

 private:
  struct Errors {
    jpeg_error_mgr manager;
    std::jmp_buf back;
  };
  [[noreturn]] static void on_error(j_common_ptr info) {
    std::longjmp(reinterpret_cast<Errors*>(info->err)->back, 1);
  }
  static void on_message(j_common_ptr info, int level) {
    if (level < 0) ++info->err->num_warnings;
  }

  Errors errors_;
  bool made_ = false;
};

// A part in pixels of the (scaled) image, and what is decoded around it.
struct Window {
  JDIMENSION left, top, width, height;  // the part
  JDIMENSION from, columns;             // of whole blocks
  JDIMENSION first_row;
};

// Chroma between two samples depends on both: a block more on every side gives the inner pixels
// what they depend on in the whole image.
Window around(const jpeg_decompress_struct& info, cv::Rect part) {
  const int block = info.max_h_samp_factor * info.min_DCT_scaled_size;
  const int rows = info.max_v_samp_factor * info.min_DCT_scaled_size;
  const int from = std::max(0, part.x - block);
  const int to = std::min<int>(info.output_width, part.x + part.width + block);
  return {static_cast<JDIMENSION>(part.x),
          static_cast<JDIMENSION>(part.y),
          static_cast<JDIMENSION>(part.width),
          static_cast<JDIMENSION>(part.height),
          static_cast<JDIMENSION>(from),
          static_cast<JDIMENSION>(to - from),
          static_cast<JDIMENSION>(std::max(0, part.y - rows))};
}

// Into `out`, which has the part's size. `row` has room for a row of the whole image.
void read_window(jpeg_decompress_struct& info, Window w, JSAMPLE* row, cv::Mat& out) {
  jpeg_crop_scanline(&info, &w.from, &w.columns);  // moves `from` to the left, to whole blocks
  if (w.first_row > 0) jpeg_skip_scanlines(&info, w.first_row);
  const JDIMENSION end = w.top + w.height;
  while (info.output_scanline < end) {
    const JDIMENSION y = info.output_scanline;
    jpeg_read_scanlines(&info, &row, 1);
    if (y < w.top) continue;
    std::copy_n(row + 3 * size_t{w.left - w.from}, 3 * size_t{w.width},
                out.ptr(static_cast<int>(y - w.top)));
  }
}

// The largest reduction, in eighths, after which the part still covers `wanted`.
unsigned eighths(cv::Size part, cv::Size wanted) {
  unsigned scale = 8;
  while (scale > 1 && part.width * (scale / 2) >= 8U * wanted.width &&
         part.height * (scale / 2) >= 8U * wanted.height) {
    scale /= 2;
  }
  return scale;
}

// The part at another scale, within an image of `size`.
cv::Rect scaled(cv::Rect part, unsigned eighth, cv::Size size) {
  const auto at = [&](int value) { return static_cast<int>((value * eighth + 4) / 8); };
  cv::Rect result(at(part.x), at(part.y), std::max(1, at(part.width)),
                  std::max(1, at(part.height)));
  result.width = std::min(result.width, size.width);
  result.height = std::min(result.height, size.height);
  result.x = std::min(result.x, size.width - result.width);
  result.y = std::min(result.y, size.height - result.height);
  return result;
}

std::optional<cv::Mat> decode_part(std::string_view bytes, cv::Rect part, bool fast,
                                   cv::Size wanted) {
  Decoder decoder;
  if (!decoder.read_header(bytes)) return std::nullopt;
  jpeg_decompress_struct& info = decoder.info;
  info.out_color_space = JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  if (fast) {
    info.scale_num = eighths(part.size(), wanted);
    info.scale_denom = 8;
    info.dct_method = JDCT_IFAST;
    info.do_fancy_upsampling = FALSE;
  }
  if (!decoder.run([&] { jpeg_start_decompress(&info); })) return std::nullopt;
  const cv::Size size(static_cast<int>(info.output_width), static_cast<int>(info.output_height));
  if (fast) part = scaled(part, info.scale_num, size);
  cv::Mat out(part.size(), CV_8UC3), row(1, size.width, CV_8UC3);
  const Window window = around(info, part);
  const bool read = decoder.run([&] { read_window(info, window, row.data, out); });
  if (!read || decoder.warned()) return std::nullopt;
  return out;
}

}  // namespace

std::optional<cv::Size> jpeg_size_for_parts(std::string_view bytes) {
  if (!is_jpeg(bytes) || !has_end_marker(bytes)) return std::nullopt;
  Decoder decoder;
  if (!decoder.read_header(bytes) || decoder.warned()) return std::nullopt;
  const jpeg_decompress_struct& info = decoder.info;
  if (info.jpeg_color_space != JCS_YCbCr && info.jpeg_color_space != JCS_GRAYSCALE) {
    return std::nullopt;
  }
  check_declared_size(info.image_width, info.image_height);
  return cv::Size(static_cast<int>(info.image_width), static_cast<int>(info.image_height));
}

std::optional<cv::Mat> decode_jpeg_part(std::string_view bytes, cv::Rect part) {
  return decode_part(bytes, part, /*fast=*/false, {});
}

std::optional<cv::Mat> decode_jpeg_part_fast(std::string_view bytes, cv::Rect part,
                                             cv::Size wanted) {
  return decode_part(bytes, part, /*fast=*/true, wanted);
}

}  // namespace vim::data
