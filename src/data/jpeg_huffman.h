// Huffman decoding of baseline JPEGs, three quarters of what it costs to decode them.
#pragma once

#include <memory>

struct jpeg_decompress_struct;

namespace vim::data {

// Takes the place of libjpeg's own decoder in one decompressor; what is behind the bits stays
// libjpeg's. It gives up, by the decompressor's error_exit, on every irregularity, where libjpeg
// would warn and go on: then libjpeg alone judges the file.
class HuffmanDecoder {
 public:
  HuffmanDecoder();
  ~HuffmanDecoder();

  // After jpeg_start_decompress, with the whole file in memory (jpeg_mem_src). Does nothing where
  // the file is of another kind: progressive, arithmetic, in several scans. Takes the
  // decompressor's `client_data`; must outlive its use.
  void install(jpeg_decompress_struct& info);

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace vim::data
