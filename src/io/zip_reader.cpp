// The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 and 4.5.3.
#include "io/zip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "io/malformed.h"
#include "vim/core/text.h"

namespace vim::io {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocatorSignature = 0x07064b50;
constexpr uint32_t kEntrySignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint64_t kEndSize = 22, kEnd64Size = 56, kLocatorSize = 20, kEntrySize = 46,
                   kLocalSize = 30;
constexpr uint64_t kMaxComment = 65535;
constexpr uint32_t kSee64 = 0xffffffff;  // the number stands in the zip64 field
constexpr uint64_t kMaxDirectory = 1 << 28;

template <class T>
T number_at(std::string_view bytes, uint64_t position) {
  T value;
  if (position > bytes.size() || bytes.size() - position < sizeof value) {
    throw Malformed{"its zip directory is damaged"};
  }
  std::memcpy(&value, bytes.data() + position, sizeof value);
  return value;
}

// The 64-bit numbers that replace those of an entry that say so, in this order.
void read_zip64(std::string_view extra, std::initializer_list<uint64_t*> numbers) {
  for (uint64_t field = 0; field + 4 <= extra.size();) {
    const auto id = number_at<uint16_t>(extra, field);
    const auto size = number_at<uint16_t>(extra, field + 2);
    uint64_t position = field + 4;
    field = position + size;
    if (id != 1) continue;
    for (uint64_t* number : numbers) {
      if (*number != kSee64) continue;
      *number = number_at<uint64_t>(extra, position);
      position += sizeof *number;
    }
  }
}

}  // namespace

std::string ZipReader::bytes(uint64_t begin, uint64_t size) const {
  std::string result(size, '\0');
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(begin));
  read_exactly(file_, result.data(), size);
  return result;
}

ZipReader::Directory ZipReader::find_directory(uint64_t file_size) const {
  const uint64_t tail_size = std::min(file_size, kEndSize + kMaxComment);
  const std::string tail = bytes(file_size - tail_size, tail_size);
  const std::string signature(reinterpret_cast<const char*>(&kEndSignature), sizeof kEndSignature);
  const size_t found = tail.rfind(signature);
  if (found == std::string::npos || tail.size() - found < kEndSize) {
    throw Malformed{"its zip directory is missing: it is truncated"};
  }
  const uint64_t end = file_size - tail_size + found;
  Directory directory{number_at<uint32_t>(tail, found + 16), number_at<uint32_t>(tail, found + 12),
                      number_at<uint16_t>(tail, found + 10)};
  if (end >= kLocatorSize + kEnd64Size) {
    const std::string locator = bytes(end - kLocatorSize, kLocatorSize);
    const auto end64 = number_at<uint64_t>(locator, 8);
    if (number_at<uint32_t>(locator, 0) == kLocatorSignature &&
        end64 <= end - kLocatorSize - kEnd64Size) {
      const std::string record = bytes(end64, kEnd64Size);
      if (number_at<uint32_t>(record, 0) != kEnd64Signature) {
        throw Malformed{"its zip directory is damaged"};
      }
      directory = {number_at<uint64_t>(record, 48), number_at<uint64_t>(record, 40),
                   number_at<uint64_t>(record, 32)};
    }
  }
  if (directory.size > std::min(end, kMaxDirectory) || directory.begin > end - directory.size) {
    throw Malformed{"its zip directory lies outside of the file"};
  }
  return directory;
}

uint64_t ZipReader::data_begin(uint64_t local_header, uint64_t limit,
                               const std::string& name) const {
  if (limit < kLocalSize || local_header > limit - kLocalSize) {
    throw Malformed{concat("its entry '", name, "' lies outside of the file")};
  }
  const std::string header = bytes(local_header, kLocalSize);
  if (number_at<uint32_t>(header, 0) != kLocalSignature) {
    throw Malformed{concat("its entry '", name, "' is not where the zip directory says")};
  }
  return local_header + kLocalSize + number_at<uint16_t>(header, 26) +
         number_at<uint16_t>(header, 28);
}

ZipReader::ZipReader(std::istream& file, uint64_t file_size) : file_(file) {
  const Directory directory = find_directory(file_size);
  const std::string list = bytes(directory.begin, directory.size);
  std::vector<std::pair<uint64_t, uint64_t>> places;
  uint64_t position = 0;
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (number_at<uint32_t>(list, position) != kEntrySignature) {
      throw Malformed{"its zip directory is damaged"};
    }
    const uint64_t name_size = number_at<uint16_t>(list, position + 28),
                   extra_size = number_at<uint16_t>(list, position + 30),
                   comment_size = number_at<uint16_t>(list, position + 32);
    const uint64_t next = position + kEntrySize + name_size + extra_size + comment_size;
    if (next > list.size()) throw Malformed{"its zip directory is damaged"};
    const std::string name = list.substr(position + kEntrySize, name_size);
    Entry entry{0, number_at<uint32_t>(list, position + 24),
                number_at<uint32_t>(list, position + 16)};
    uint64_t stored = number_at<uint32_t>(list, position + 20),
             local_header = number_at<uint32_t>(list, position + 42);
    read_zip64(std::string_view(list).substr(position + kEntrySize + name_size, extra_size),
               {&entry.size, &stored, &local_header});
    entry.is_plain = (number_at<uint16_t>(list, position + 8) & 1) == 0 &&
                     number_at<uint16_t>(list, position + 10) == 0 && stored == entry.size;
    if (!entry.is_plain) entry.size = stored;
    entry.begin = data_begin(local_header, directory.begin, name);
    if (entry.begin > directory.begin || entry.size > directory.begin - entry.begin) {
      throw Malformed{concat("its entry '", name, "' lies outside of the file")};
    }
    if (!entries_.emplace(name, entry).second) {
      throw Malformed{concat("it holds the entry '", name, "' twice")};
    }
    places.emplace_back(local_header, entry.begin + entry.size);
    position = next;
  }
  std::ranges::sort(places);
  for (size_t i = 1; i < places.size(); ++i) {
    if (places[i].first < places[i - 1].second) throw Malformed{"its zip entries overlap"};
  }
}

void ZipReader::read(const std::string& name, const Entry& entry, void* data) const {
  if (!entry.is_plain) {
    throw Malformed{
        concat("its entry '", name, "' is compressed or encrypted, as no entry of torch.save is")};
  }
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(entry.begin));
  read_exactly(file_, data, entry.size);
  if (crc32_z(0, static_cast<const Bytef*>(data), entry.size) != entry.crc) {
    throw Malformed{concat("its entry '", name, "' is damaged: it has another checksum")};
  }
}

}  // namespace vim::io
