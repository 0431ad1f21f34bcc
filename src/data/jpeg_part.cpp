// TurboJPEG's interface decodes whole images only, so this is libjpeg's: rows above the part are
// skipped (entropy decoding alone), columns beside it are not transformed, rows below are not read.
#include "data/jpeg_part.h"

// jpeglib.h needs these before it.
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <vector>

#include "data/codecs.h"
#include "data/jpeg_huffman.h"
#include "vim/core/error.h"

namespace vim::data {
namespace {

// Of a progressive file. A scan may be a few bytes and takes as long as the image is large, hence
// TurboJPEG's limit.
constexpr int kMostScans = 500;

// A decompressor whose errors end the step they happen in.
class Decoder {
 public:
  Decoder() {
    info.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = on_error;
    errors_.manager.emit_message = on_message;
    made_ = run([this] { jpeg_create_decompress(&info); });
    progress_.progress_monitor = on_progress;
    info.progress = &progress_;
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
  bool start() {
    return run([&] {
      jpeg_start_decompress(&info);
      huffman_.install(info);
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
  static void on_progress(j_common_ptr info) {
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMostScans) on_error(info);
  }

  Errors errors_;
  jpeg_progress_mgr progress_{};
  HuffmanDecoder huffman_;
  bool made_ = false;
};

// What is decoded, so that all of a part is among it: whole blocks, in pixels of the (scaled)
// image.
struct Window {
  JDIMENSION left, columns;
  JDIMENSION top, bottom;
};

// Chroma between two samples depends on both: a block more on every side gives the inner pixels
// what they depend on in the whole image.
Window around(const jpeg_decompress_struct& info, cv::Rect part) {
  const int block = info.max_h_samp_factor * info.min_DCT_scaled_size;
  const int rows = info.max_v_samp_factor * info.min_DCT_scaled_size;
  const int left = std::max(0, part.x - block);
  const int right = std::min<int>(info.output_width, part.x + part.width + block);
  return {static_cast<JDIMENSION>(left), static_cast<JDIMENSION>(right - left),
          static_cast<JDIMENSION>(std::max(0, part.y - rows)),
          static_cast<JDIMENSION>(part.y + part.height)};
}

void read_rows(jpeg_decompress_struct& info, const Window& window, JSAMPROW* rows) {
  if (window.top > 0) jpeg_skip_scanlines(&info, window.top);
  while (info.output_scanline < window.bottom) {
    jpeg_read_scanlines(&info, rows + (info.output_scanline - window.top),
                        window.bottom - info.output_scanline);
  }
}

// The part of the image that the decoder, started, is about to give.
std::optional<cv::Mat> read_part(Decoder& decoder, cv::Rect part) {
  jpeg_decompress_struct& info = decoder.info;
  Window window = around(info, part);
  // Moves the left edge further, to whole blocks.
  if (!decoder.run([&] { jpeg_crop_scanline(&info, &window.left, &window.columns); })) {
    return std::nullopt;
  }
  cv::Mat wide(part.height, static_cast<int>(window.columns), CV_8UC3);
  cv::Mat unused(1, wide.cols, CV_8UC3);
  std::vector<JSAMPROW> rows(window.bottom - window.top, unused.data);
  const size_t above = rows.size() - static_cast<size_t>(part.height);
  for (int y = 0; y < part.height; ++y) rows[above + y] = wide.ptr(y);
  if (!decoder.run([&] { read_rows(info, window, rows.data()); }) || decoder.warned()) {
    return std::nullopt;
  }
  const int left = part.x - static_cast<int>(window.left);
  return wide.colRange(left, left + part.width);
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
  if (!decoder.start()) return std::nullopt;
  if (fast) {
    part = scaled(part, info.scale_num,
                  {static_cast<int>(info.output_width), static_cast<int>(info.output_height)});
  }
  return read_part(decoder, part);
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
