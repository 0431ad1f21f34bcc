#include "data/encode.h"

#include <png.h>
#include <turbojpeg.h>

#include <memory>

#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"

namespace vim::data {

std::string encode_png(const cv::Mat& image) {
  VIM_CHECK(image.type() == CV_8UC3 || image.type() == CV_8UC1);
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.cols);
  png.height = static_cast<png_uint_32>(image.rows);
  png.format = image.channels() == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  const auto stride = static_cast<png_int_32>(image.step[0]);
  png_alloc_size_t size = 0;
  std::string bytes;
  if (png_image_write_to_memory(&png, nullptr, &size, 0, image.data, stride, nullptr) != 0) {
    bytes.resize(size);
    png_image_write_to_memory(&png, bytes.data(), &size, 0, image.data, stride, nullptr);
  }
  if (png.warning_or_error > 1) throw Error(concat("cannot write a PNG (", png.message, ")"));
  return bytes;
}

void write_png(const std::filesystem::path& path, const cv::Mat& image) {
  if (path.extension() != ".png" && path.extension() != ".PNG") {
    throw UsageError(concat(path.string(), ": would be a PNG file; call it .png"));
  }
  write_atomically(path, encode_png(image));
}

std::string encode_jpeg(const cv::Mat& image, int quality) {
  VIM_CHECK(image.type() == CV_8UC3 || image.type() == CV_8UC1);
  const std::unique_ptr<void, int (*)(void*)> encoder(tjInitCompress(), tjDestroy);
  const bool color = image.channels() == 3;
  unsigned char* data = nullptr;
  unsigned long size = 0;
  const int status =
      tjCompress2(encoder.get(), image.data, image.cols, static_cast<int>(image.step[0]),
                  image.rows, color ? TJPF_RGB : TJPF_GRAY, &data, &size,
                  color ? TJSAMP_420 : TJSAMP_GRAY, quality, TJFLAG_ACCURATEDCT);
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner(data, tjFree);
  if (status != 0) throw Error(concat("cannot write a JPEG (", tjGetErrorStr2(encoder.get()), ")"));
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace vim::data
