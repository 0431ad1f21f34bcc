// The scan is first freed of its stuffed zeros, so that eight bytes at a time become bits without a
// look at them. One look into a table then tells a whole coefficient, the zeros before it and its
// value, wherever these take few bits, as nearly all do.
//
// libjpeg offers no such exchange of its parts. It needs one member of a structure that jpegint.h
// declares, the same since 1998; where that header is missing, libjpeg's own decoder stays.
#include "data/jpeg_huffman.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "data/huffman_table.h"

#if __has_include(<jpegint.h>)
#define JPEG_INTERNALS
#endif
#include <jpeglib.h>

namespace vim::data {

#ifdef JPEG_INTERNALS
namespace {

constexpr int kLast = DCTSIZE2 - 1;  // coefficient of a block
constexpr int kLooksARefill = 4;
static_assert(kLooksARefill * HuffmanTable::kPeek <= 56);
constexpr uint8_t kFirstRestart = 0xd0, kLastRestart = 0xd7, kEndOfImage = 0xd9;
// What one MCU of zeros could read beyond the end: 64 coefficients of 31 bits in each block.
constexpr size_t kPadding = 4096;
static_assert(D_MAX_BLOCKS_IN_MCU * DCTSIZE2 * 4 + 8 < kPadding);

// By position in the file's zigzag.
constexpr std::array<uint8_t, DCTSIZE2> kNaturalOrder = [] {
  std::array<uint8_t, DCTSIZE2> order{};
  int x = 0, y = 0;
  for (int k = 0; k < DCTSIZE2; ++k) {
    order[k] = static_cast<uint8_t>(DCTSIZE * y + x);
    const bool up = (x + y) % 2 == 0;
    int& along = up ? x : y;
    int& against = up ? y : x;
    if (along == DCTSIZE - 1) {
      ++against;
    } else {
      ++along;
      if (against > 0) --against;
    }
  }
  return order;
}();

// `out` is null for blocks that nobody needs. False where the bits are not those of a block.
[[gnu::always_inline]] inline bool decode_block(HuffmanBits& bits, const HuffmanTable& dc,
                                                const HuffmanTable& ac, int& last_dc, JCOEF* out) {
  refill(bits);
  HuffmanEntry entry = dc.find(bits.next);
  if (entry.length == 0) entry = dc.find_long(bits.next);
  if (entry.length == 0) return false;
  drop(bits, entry.length);
  last_dc += (entry.steps & kValueFollows) != 0 ? take_value(bits, entry.value) : entry.value;
  if (last_dc != static_cast<JCOEF>(last_dc)) return false;
  if (out != nullptr) out[0] = static_cast<JCOEF>(last_dc);
  for (int k = 0; k < kLast;) {
    refill(bits);
    // So many looks without asking whether the bits suffice, which would be hard to foresee.
    for (int i = 0; i < kLooksARefill && k < kLast; ++i) {
      entry = ac.find(bits.next);
      int value = entry.value;
      if (entry.length == 0 || (entry.steps & kValueFollows) != 0) [[unlikely]] {
        refill(bits);
        if (entry.length == 0) entry = ac.find_long(bits.next);
        if (entry.length == 0) return false;
        drop(bits, entry.length);
        value = entry.value == 0 ? 0 : take_value(bits, entry.value);
        i = kLooksARefill;  // the bits left may be too few for another look
      } else {
        drop(bits, entry.length);
      }
      k += entry.steps & ~kValueFollows;
      if (k > kLast) return entry.steps == kEndOfBlock;
      if (out != nullptr) out[kNaturalOrder[k]] = static_cast<JCOEF>(value);
    }
  }
  return true;
}

}  // namespace

struct HuffmanDecoder::State {
  struct Block {
    const HuffmanTable* dc;
    const HuffmanTable* ac;
    int component;
  };

  bool prepare(const jpeg_decompress_struct& info) {
    if (info.progressive_mode || info.arith_code || info.data_precision != 8) return false;
    for (int i = 0; i < info.comps_in_scan; ++i) {
      const jpeg_component_info& component = *info.cur_comp_info[i];
      const JHUFF_TBL* dc_table = info.dc_huff_tbl_ptrs[component.dc_tbl_no];
      const JHUFF_TBL* ac_table = info.ac_huff_tbl_ptrs[component.ac_tbl_no];
      if (dc_table == nullptr || ac_table == nullptr) return false;
      if (!dc[component.dc_tbl_no].build(dc_table->bits, dc_table->huffval, /*is_dc=*/true))
        return false;
      if (!ac[component.ac_tbl_no].build(ac_table->bits, ac_table->huffval, /*is_dc=*/false))
        return false;
    }
    for (int i = 0; i < info.blocks_in_MCU; ++i) {
      const int component = info.MCU_membership[i];
      const jpeg_component_info& facts = *info.cur_comp_info[component];
      blocks[i] = {&dc[facts.dc_tbl_no], &ac[facts.ac_tbl_no], component};
    }
    block_count = info.blocks_in_MCU;
    interval = left = info.restart_interval;
    const jpeg_source_mgr& source = *info.src;
    if (!unstuff(source.next_input_byte, source.next_input_byte + source.bytes_in_buffer)) {
      return false;
    }
    bits.at = bytes.data();
    return true;
  }

  // Scan data to the end of the image. False where something else ends or interrupts them.
  bool unstuff(const uint8_t* in, const uint8_t* end) {
    bytes.assign(static_cast<size_t>(end - in) + kPadding, 0);
    uint8_t* out = bytes.data();
    while (true) {
      const auto* mark =
          static_cast<const uint8_t*>(std::memchr(in, 0xff, static_cast<size_t>(end - in)));
      if (mark == nullptr || mark + 1 == end) return false;
      std::memcpy(out, in, static_cast<size_t>(mark - in));
      out += mark - in;
      in = mark + 2;
      const uint8_t code = mark[1];
      if (code == 0) {
        *out++ = 0xff;
      } else if (code >= kFirstRestart && code <= kLastRestart) {
        if (interval == 0 || code - kFirstRestart != static_cast<int>(ends.size() % 8))
          return false;
        ends.push_back(out);
      } else {
        ends.push_back(out);
        return code == kEndOfImage;
      }
    }
  }

  // Where the first bit stands that is not used up, and the whole byte behind it.
  const uint8_t* position() const { return bits.at - bits.count / 8; }

  bool restart() {
    if (position() != ends[segment] || segment + 1 == ends.size()) return false;
    bits = {0, 0, ends[segment++]};
    last_dc = {};
    left = interval;
    return true;
  }

  bool decode(JBLOCKROW* out) {
    if (interval > 0 && left-- == 0) {
      if (!restart()) return false;
      --left;
    }
    HuffmanBits local = bits;  // in registers
    for (int i = 0; i < block_count; ++i) {
      const Block& block = blocks[i];
      if (!decode_block(local, *block.dc, *block.ac, last_dc[block.component],
                        out == nullptr ? nullptr : *out[i])) {
        return false;
      }
    }
    bits = local;
    return position() <= ends[segment];
  }

  std::array<HuffmanTable, NUM_HUFF_TBLS> dc, ac;
  std::array<Block, D_MAX_BLOCKS_IN_MCU> blocks{};
  int block_count = 0;
  std::array<int, MAX_COMPS_IN_SCAN> last_dc{};
  unsigned interval = 0, left = 0;  // MCUs between restarts, and to the next
  std::vector<uint8_t> bytes;       // of all segments, which end at restarts
  std::vector<const uint8_t*> ends;
  size_t segment = 0;
  HuffmanBits bits;
};

namespace {

boolean decode_mcu(j_decompress_ptr info, JBLOCKROW* out) {
  if (!static_cast<HuffmanDecoder::State*>(info->client_data)->decode(out)) {
    info->err->error_exit(reinterpret_cast<j_common_ptr>(info));
  }
  return TRUE;
}

}  // namespace

void HuffmanDecoder::install(jpeg_decompress_struct& info) {
  if (jpeg_has_multiple_scans(&info) != FALSE) return;
  state_ = std::make_unique<State>();
  if (!state_->prepare(info)) return;
  info.client_data = state_.get();
  info.entropy->decode_mcu = decode_mcu;
}

#else

struct HuffmanDecoder::State {};
void HuffmanDecoder::install(jpeg_decompress_struct&) {}

#endif

HuffmanDecoder::HuffmanDecoder() = default;
HuffmanDecoder::~HuffmanDecoder() = default;

}  // namespace vim::data
