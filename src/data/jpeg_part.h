// A part of a JPEG without the rest of it.
#pragma once

#include <opencv2/core/mat.hpp>
#include <optional>
#include <string_view>

namespace vim::data {

// Width and height as the header declares them, where this is a JPEG of which parts can be decoded:
// grey or YCbCr, whole to its end marker. Nothing for any other file, which decode_image judges.
std::optional<cv::Size> jpeg_size_for_parts(std::string_view bytes);

// The pixels of `part`, CV_8UC3 (RGB), decoded with as little around them as gives the same bytes
// as decoding everything; damage elsewhere in the file goes unnoticed. Nothing where the library
// warns of anything: then decode_image judges the file.
std::optional<cv::Mat> decode_jpeg_part(std::string_view bytes, cv::Rect part);

// The same quickly: at 1/2, 1/4 or 1/8 of the size where the part then still covers `wanted`, with
// the less exact inverse transform and chroma as blocks. The result is the part at that scale.
std::optional<cv::Mat> decode_jpeg_part_fast(std::string_view bytes, cv::Rect part,
                                             cv::Size wanted);

}  // namespace vim::data
