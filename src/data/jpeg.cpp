#include <turbojpeg.h>

#include <memory>

#include "data/codecs.h"
#include "data/jpeg_part.h"
#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::data {
namespace {

struct Destroy {
  void operator()(void* handle) const { tjDestroy(handle); }
};

// A decoder serves one image: it would keep that image's tables, and a damaged successor without
// tables of its own would be decoded with them.
std::unique_ptr<void, Destroy> make_decoder() {
  std::unique_ptr<void, Destroy> handle(tjInitDecompress());
  if (!handle) throw Error(concat("no JPEG decoder (", tjGetErrorStr2(nullptr), ")"));
  return handle;
}

// libjpeg goes on after a warning with grey or garbled pixels. Harmless is only what stands between
// two intact segments of a file that is whole.
void judge_warning(tjhandle handle, std::string_view bytes) {
  const std::string_view reason = tjGetErrorStr2(handle);
  if (reason.find("extraneous bytes before marker") != reason.npos && has_end_marker(bytes)) return;
  if (!has_end_marker(bytes)) throw Error("the JPEG ends too early");
  throw Error(concat("damaged JPEG (", reason, ")"));
}

// The file holds inverted inks, as Adobe's programs write them and Pillow takes for granted.
cv::Mat from_cmyk(const cv::Mat& inverted) {
  cv::Mat rgb(inverted.size(), CV_8UC3);
  for (int y = 0; y < rgb.rows; ++y) {
    const auto* in = inverted.ptr<cv::Vec4b>(y);
    auto* out = rgb.ptr<cv::Vec3b>(y);
    for (int x = 0; x < rgb.cols; ++x) {
      const int black = in[x][3];  // inverted: 255 is no ink
      for (int c = 0; c < 3; ++c) {
        // 255 - k - round(ink * (255 - k) / 255), with Pillow's rounding
        const int product = (255 - in[x][c]) * black + 128;
        out[x][c] = cv::saturate_cast<uint8_t>(black - (((product >> 8) + product) >> 8));
      }
    }
  }
  return rgb;
}

}  // namespace

bool has_end_marker(std::string_view bytes) {
  // Nearly every file: the marker ends it, and the scan starts soon after the beginning.
  if (bytes.ends_with("\xff\xd9")) return bytes.find("\xff\xda") != bytes.npos;
  const size_t end = bytes.rfind("\xff\xd9");
  const size_t scan = bytes.rfind("\xff\xda");
  return end != bytes.npos && scan != bytes.npos && end > scan;
}

int jpeg_components(std::string_view bytes) {
  const auto decoder = make_decoder();
  int width = 0, height = 0, subsampling = 0, colorspace = 0;
  tjDecompressHeader3(decoder.get(), reinterpret_cast<const unsigned char*>(bytes.data()),
                      bytes.size(), &width, &height, &subsampling, &colorspace);
  if (width < 1) return 0;
  if (colorspace == TJCS_CMYK || colorspace == TJCS_YCCK) return 4;
  return colorspace == TJCS_GRAY ? 1 : 3;
}

cv::Mat decode_jpeg(std::string_view bytes) {
  // The quick way says nothing of what it does not like.
  if (const auto size = jpeg_size_for_parts(bytes)) {
    if (const auto image = decode_jpeg_part(bytes, {{}, *size})) return *image;
  }
  const auto decoder = make_decoder();
  const tjhandle handle = decoder.get();
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0, height = 0, subsampling = 0, colorspace = 0;
  const int status =
      tjDecompressHeader3(handle, data, bytes.size(), &width, &height, &subsampling, &colorspace);
  if (status != 0 && tjGetErrorCode(handle) == TJERR_FATAL) {
    throw Error(concat("damaged JPEG header (", tjGetErrorStr2(handle), ")"));
  }
  if (width < 1) throw Error("the JPEG ends before its image");  // tables alone
  check_declared_size(width, height);
  const bool cmyk = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
  cv::Mat image(height, width, cmyk ? CV_8UC4 : CV_8UC3);
  if (tjDecompress2(handle, data, bytes.size(), image.data, width, static_cast<int>(image.step),
                    height, cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_LIMITSCANS) != 0) {
    if (tjGetErrorCode(handle) == TJERR_FATAL) {
      throw Error(concat("damaged JPEG (", tjGetErrorStr2(handle), ")"));
    }
    judge_warning(handle, bytes);
  }
  return cmyk ? from_cmyk(image) : image;
}

}  // namespace vim::data
