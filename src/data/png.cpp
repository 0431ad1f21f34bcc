#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "data/codecs.h"
#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::data {
namespace {

struct Source {
  std::string_view rest;
  char reason[128] = "";
};

void read_bytes(png_structp png, png_bytep out, size_t size) {
  auto& source = *static_cast<Source*>(png_get_io_ptr(png));
  if (size > source.rest.size()) png_error(png, "it ends too early");
  std::memcpy(out, source.rest.data(), size);
  source.rest.remove_prefix(size);
}

[[noreturn]] void on_error(png_structp png, png_const_charp reason) {
  auto& source = *static_cast<Source*>(png_get_error_ptr(png));
  std::snprintf(source.reason, sizeof source.reason, "%s", reason);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}  // about metadata; what touches pixels is an error

// libpng's state. Its errors are long jumps: between setjmp and the last call of libpng in a method
// nothing with a destructor may be made.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : source_{bytes} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source_, on_error, on_warning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw Error("no PNG decoder: out of memory");
    }
    png_set_read_fn(png_, &source_, read_bytes);
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_info(png_, info_);
    return true;
  }

  // Whatever is stored becomes 8-bit RGB. tRNS is not asked for where it makes no palette colour.
  bool start_rgb() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_strip_16(png_);
    const int type = png_get_color_type(png_, info_);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
    if ((type & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool read_rows(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    return true;
  }

  int64_t width() const { return png_get_image_width(png_, info_); }
  int64_t height() const { return png_get_image_height(png_, info_); }
  size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  const char* reason() const { return source_.reason; }

 private:
  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

cv::Mat decode_png(std::string_view bytes) {
  Reader reader(bytes);
  if (!reader.read_header()) throw Error(concat("damaged PNG (", reader.reason(), ")"));
  check_declared_size(reader.width(), reader.height());
  cv::Mat image(static_cast<int>(reader.height()), static_cast<int>(reader.width()), CV_8UC3);
  std::vector<png_bytep> rows(image.rows);
  for (int y = 0; y < image.rows; ++y) rows[y] = image.ptr(y);
  if (!reader.start_rgb()) throw Error(concat("damaged PNG (", reader.reason(), ")"));
  VIM_CHECK(reader.row_bytes() == static_cast<size_t>(image.cols) * 3);
  if (!reader.read_rows(rows.data())) throw Error(concat("damaged PNG (", reader.reason(), ")"));
  return image;
}

}  // namespace vim::data
