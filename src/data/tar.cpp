// POSIX.1-2017, pax: "ustar Interchange Format", "pax Header Block"; GNU tar manual: "Basic Tar
// Format".
#include "data/tar.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "vim/core/error.h"
#include "vim/core/text.h"

namespace vim::data {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kPiece = size_t{16} << 10;            // read at once
constexpr uint64_t kMaxExtension = uint64_t{1} << 20;  // bytes of a long name or pax header

// A field of the header block.
struct Field {
  size_t offset, size;
};
constexpr Field kName = {0, 100}, kSize = {124, 12}, kChecksum = {148, 8}, kKind = {156, 1},
                kMagic = {257, 6}, kPrefix = {345, 155};

std::string_view field(std::string_view block, Field place) {
  return block.substr(place.offset, place.size);
}

// Up to the first 0.
std::string_view text(std::string_view field) {
  return field.substr(0, field.find('\0'));
}

// Octal digits between blanks, or, with the highest bit set, a large number in base 256.
std::optional<uint64_t> number(std::string_view field) {
  if ((static_cast<unsigned char>(field[0]) & 0x80) != 0) {
    if (static_cast<unsigned char>(field[0]) != 0x80) return std::nullopt;  // negative, or huge
    uint64_t value = 0;
    for (const char c : field.substr(1)) {
      if (value > std::numeric_limits<uint64_t>::max() >> 8) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  field = text(field);
  while (field.starts_with(' ')) field.remove_prefix(1);
  while (field.ends_with(' ')) field.remove_suffix(1);
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(field.data(), field.data() + field.size(), value, /*base=*/8);
  if (error != std::errc() && !field.empty()) return std::nullopt;
  if (end != field.data() + field.size()) return std::nullopt;
  return value;
}

// The sum of all bytes with blanks for the sum itself; some old programs took them as signed.
bool checksum_is_right(std::string_view block) {
  const std::optional<uint64_t> expected = number(field(block, kChecksum));
  int64_t sum = 0, signed_sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool blank = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    const char c = blank ? ' ' : block[i];
    sum += static_cast<unsigned char>(c);
    signed_sum += static_cast<signed char>(c);
  }
  return expected &&
         (static_cast<int64_t>(*expected) == sum || static_cast<int64_t>(*expected) == signed_sum);
}

std::string name_in(std::string_view block) {
  const std::string name(text(field(block, kName)));
  // GNU's own format, whose magic has a blank here, has other fields in the prefix's place.
  const bool posix = field(block, kMagic) == std::string_view("ustar\0", 6);
  const std::string_view prefix = posix ? text(field(block, kPrefix)) : "";
  return prefix.empty() ? name : concat(prefix, "/", name);
}

TarMember::Kind kind_of(char type, std::string_view name) {
  constexpr char kOldFile = '\0', kFile = '0', kHardLink = '1', kContiguous = '7';
  if (type == kHardLink) return TarMember::Kind::kHardLink;
  if (type == kOldFile && name.ends_with('/')) return TarMember::Kind::kOther;  // an old folder
  return type == kOldFile || type == kFile || type == kContiguous ? TarMember::Kind::kFile
                                                                  : TarMember::Kind::kOther;
}

// Links, devices, folders and pipes have none, whatever their size says.
bool has_content(char type) {
  return type < '1' || type > '6';
}

}  // namespace

void TarReader::fail(std::string_view reason) const {
  throw Error(concat(file_.path().string(), ": at byte ", at_, ": ", reason));
}

std::string_view TarReader::bytes(uint64_t offset, size_t size) {
  if (offset < buffered_ || offset + size > buffered_ + buffer_.size()) {
    const uint64_t left = file_.size() - offset;
    buffer_.resize(std::min<uint64_t>(left, std::max(size, kPiece)));
    file_.read(offset, buffer_.data(), buffer_.size());
    buffered_ = offset;
  }
  return {buffer_.data() + (offset - buffered_), size};
}

// Where the blocks of a content end.
uint64_t TarReader::end_of(uint64_t offset, uint64_t size) const {
  if (size > file_.size() - offset) fail("the file ends within a member; it is cut off");
  // The last block may be incomplete, as some writers leave it.
  return std::min(file_.size(), offset + (size + kBlock - 1) / kBlock * kBlock);
}

std::string TarReader::content(const TarMember& member) {
  if (member.size > kMaxExtension) fail(concat(member.name, " is larger than expected"));
  end_of(member.offset, member.size);
  return std::string(bytes(member.offset, member.size));
}

// Records "length key=value\n", where the length is that of the whole record.
void TarReader::read_pax(std::string_view records, Extensions& extensions) const {
  while (!records.empty()) {
    size_t length = 0;
    const char* const end_of_records = records.data() + records.size();
    const auto [end, error] = std::from_chars(records.data(), end_of_records, length);
    const auto digits = static_cast<size_t>(end - records.data());
    if (error != std::errc() || length > records.size() || length < digits + 2 || *end != ' ' ||
        records[length - 1] != '\n') {
      fail("a pax header is damaged");
    }
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    records.remove_prefix(length);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) fail("a pax header is damaged");
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key.starts_with("GNU.sparse.")) fail("sparse members are not supported");
    if (key == "path") {
      if (value.find('\0') != std::string_view::npos) fail("a name has a 0 in it");
      extensions.name = std::string(value);
    }
    if (key == "size") {
      uint64_t size = 0;
      const auto [last, wrong] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (wrong != std::errc() || last != value.data() + value.size()) {
        fail("a pax header has a size that is no number");
      }
      extensions.size = size;
    }
  }
}

std::optional<TarMember> TarReader::next() {
  constexpr char kLongName = 'L', kLongLink = 'K', kPax = 'x', kGlobalPax = 'g', kSparse = 'S';
  Extensions local = global_;
  while (true) {
    if (file_.size() - at_ < kBlock) {
      fail("the file ends without the empty blocks that a tar file ends with; it is cut off");
    }
    const std::string block(bytes(at_, kBlock));
    if (block.find_first_not_of('\0') == std::string::npos) return std::nullopt;
    if (!checksum_is_right(block)) {
      fail(at_ == 0 ? "this is no tar file, or a compressed one, in which nothing can be found"
                    : "a header is damaged");
    }
    const char type = field(block, kKind)[0];
    const std::optional<uint64_t> size = number(field(block, kSize));
    if (!size) fail("a header has a size that is no number");
    const uint64_t offset = at_ + kBlock;
    const bool extends =
        type == kLongName || type == kLongLink || type == kPax || type == kGlobalPax;
    if (!extends) {
      if (type == kSparse) fail("sparse members are not supported");
      TarMember member;
      member.name = local.name.value_or(name_in(block));
      member.kind = kind_of(type, member.name);
      member.offset = offset;
      if (has_content(type)) member.size = local.size.value_or(*size);
      at_ = end_of(offset, member.size);
      return member;
    }
    if (*size > kMaxExtension) fail("a header is larger than any that makes sense");
    const uint64_t end = end_of(offset, *size);
    const std::string value(bytes(offset, *size));
    if (type == kLongName) local.name = std::string(text(value));
    if (type == kPax) read_pax(value, local);
    if (type == kGlobalPax) {
      read_pax(value, global_);
      read_pax(value, local);
    }
    at_ = end;
  }
}

}  // namespace vim::data
