// POSIX.1-2017, pax: "ustar Interchange Format", "pax Header Block"; GNU tar manual: "Basic Tar
// Format".
#include "data/tar.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "vim/core/error.h"
#include "vim/core/file.h"
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
constexpr Field kName = {0, 100}, kMode = {100, 8}, kUser = {108, 8}, kGroup = {116, 8},
                kSize = {124, 12}, kTime = {136, 12}, kChecksum = {148, 8}, kKind = {156, 1},
                kMagic = {257, 6}, kVersion = {263, 2}, kPrefix = {345, 155};

constexpr char kFile = '0', kPax = 'x';

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

// Of all bytes, with blanks for the sum itself, as numbers with or without a sign.
template <class Byte>
int64_t checksum(std::string_view block) {
  int64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool blank = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    sum += static_cast<Byte>(blank ? ' ' : block[i]);
  }
  return sum;
}

// Some old programs took the bytes as signed.
bool checksum_is_right(std::string_view block) {
  const std::optional<uint64_t> expected = number(field(block, kChecksum));
  if (!expected) return false;
  const auto sum = static_cast<int64_t>(*expected);
  return sum == checksum<unsigned char>(block) || sum == checksum<signed char>(block);
}

void put(std::string& block, Field place, std::string_view text) {
  VIM_CHECK(text.size() <= place.size);
  block.replace(place.offset, text.size(), text);
}

// Octal digits that fill the field, but for the 0 at its end.
void put(std::string& block, Field place, uint64_t number) {
  std::string digits(place.size - 1, '0');
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, number >>= 3) {
    *digit = static_cast<char>('0' + (number & 7));
  }
  VIM_CHECK(number == 0);
  put(block, place, digits);
}

// "length key=value\n", where the length is that of all of it.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::string rest = concat(" ", key, "=", value, "\n");
  size_t length = 0;
  for (size_t next = rest.size(); next != length;
       next = rest.size() + std::to_string(length).size()) {
    length = next;
  }
  return std::to_string(length) + rest;
}

std::string name_in(std::string_view block) {
  const std::string name(text(field(block, kName)));
  // GNU's own format, whose magic has a blank here, has other fields in the prefix's place.
  const bool posix = field(block, kMagic) == std::string_view("ustar\0", 6);
  const std::string_view prefix = posix ? text(field(block, kPrefix)) : "";
  return prefix.empty() ? name : concat(prefix, "/", name);
}

TarMember::Kind kind_of(char type, std::string_view name) {
  constexpr char kOldFile = '\0', kHardLink = '1', kContiguous = '7';
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
  constexpr char kLongName = 'L', kLongLink = 'K', kGlobalPax = 'g', kSparse = 'S';
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

void TarWriter::add(const std::string& name, std::string_view content) {
  if (name.size() > kName.size) add_member(kPax, "long name", pax_record("path", name));
  add_member(kFile, std::string_view(name).substr(0, kName.size), content);
}

void TarWriter::add_member(char type, std::string_view name, std::string_view content) {
  constexpr uint64_t kReadable = 0644;
  std::string block(kBlock, '\0');
  put(block, kName, name);
  put(block, kMode, kReadable);
  put(block, kUser, uint64_t{0});
  put(block, kGroup, uint64_t{0});
  put(block, kSize, uint64_t{content.size()});
  put(block, kTime, uint64_t{0});
  put(block, kKind, std::string_view(&type, 1));
  put(block, kMagic, "ustar");
  put(block, kVersion, "00");
  put(block, kChecksum, static_cast<uint64_t>(checksum<unsigned char>(block)));
  file_.write(block);
  file_.write(content);
  file_.write(std::string((kBlock - content.size() % kBlock) % kBlock, '\0'));
}

void TarWriter::finish() {
  file_.write(std::string(2 * kBlock, '\0'));
}

}  // namespace vim::data
