#include "vim/data/image.h"

#include <utility>

#include "data/codecs.h"
#include "data/exif.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
#include "vim/data/sample.h"

namespace vim::data {
namespace {

using namespace std::string_view_literals;
constexpr std::string_view kJpegMagic = "\xff\xd8\xff"sv;
constexpr std::string_view kPngMagic = "\x89PNG\r\n\x1a\n"sv;

cv::Mat to_grey(const cv::Mat& rgb) {
  cv::Mat grey(rgb.size(), CV_8UC1);
  for (int y = 0; y < rgb.rows; ++y) {
    const uint8_t* in = rgb.ptr(y);
    uint8_t* out = grey.ptr(y);
    for (int x = 0; x < rgb.cols; ++x, in += 3) {
      out[x] = static_cast<uint8_t>((in[0] * 19595 + in[1] * 38470 + in[2] * 7471 + 0x8000) >> 16);
    }
  }
  return grey;
}

cv::Mat to_rgb(const cv::Mat& grey) {
  cv::Mat rgb(grey.size(), CV_8UC3);
  for (int y = 0; y < grey.rows; ++y) {
    const uint8_t* in = grey.ptr(y);
    uint8_t* out = rgb.ptr(y);
    for (int x = 0; x < grey.cols; ++x, out += 3) out[0] = out[1] = out[2] = in[x];
  }
  return rgb;
}

}  // namespace

bool is_jpeg(std::string_view bytes) {
  return bytes.starts_with(kJpegMagic);
}

bool is_png(std::string_view bytes) {
  return bytes.starts_with(kPngMagic);
}

void check_declared_size(int64_t width, int64_t height) {
  if (width < 1 || height < 1) throw Error("the image has no pixels");
  if (width > kMaxPixels / height) {
    throw Error(concat("declares ", width, " x ", height, " pixels, more than the ",
                       with_separators(kMaxPixels), " that are allowed"));
  }
}

cv::Mat decode_image(std::string_view bytes, int channels) {
  if (bytes.empty()) throw Error("the file is empty");
  if (is_jpeg(bytes)) return with_channels(decode_jpeg(bytes), channels);
  if (is_png(bytes)) return with_channels(decode_png(bytes), channels);
  throw Error("neither a JPEG nor a PNG by its first bytes");
}

cv::Mat read_image(const std::filesystem::path& path, const ReadOptions& options) {
  std::string bytes = read_file(path);
  try {
    Sample sample = sample_of(std::move(bytes), options);
    decode(sample);
    return sample.image;
  } catch (const Error& error) {
    throw Error(concat(path.string(), ": ", error.what()));
  }
}

Sample sample_of(std::string bytes, const ReadOptions& options) {
  Sample sample;
  sample.channels = options.channels;
  if (options.exif_transpose) sample.orientation = exif_orientation(bytes);
  if (is_jpeg(bytes)) {
    sample.jpeg = std::move(bytes);
  } else {
    sample.image = upright(decode_image(bytes, options.channels), sample.orientation);
  }
  return sample;
}

void decode(Sample& sample) {
  if (sample.jpeg.empty()) return;
  sample.image = upright(decode_image(sample.jpeg, sample.channels), sample.orientation);
  sample.jpeg.clear();
}

cv::Mat with_channels(const cv::Mat& image, int channels) {
  VIM_CHECK(image.depth() == CV_8U && (channels == 1 || channels == 3));
  if (image.channels() == channels) return image;
  VIM_CHECK(image.channels() == 1 || image.channels() == 3);
  return channels == 1 ? to_grey(image) : to_rgb(image);
}

}  // namespace vim::data
