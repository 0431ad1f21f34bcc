#include "vim/io/safetensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <vector>

#include "io/input_file.h"
#include "io/malformed.h"
#include "io/safetensors_header.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace vim::io {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr uint64_t kHeaderLimit = 100'000'000;  // of the reference implementation

at::Tensor read_tensor(std::istream& file, const Entry& entry) {
  const at::Tensor tensor = at::empty(entry.shape, at::TensorOptions(entry.type));
  read_exactly(file, tensor.data_ptr(), entry.end - entry.begin);
  if (entry.type == at::kBool) {
    const auto* bytes = static_cast<const unsigned char*>(tensor.data_ptr());
    if (std::any_of(bytes, bytes + tensor.numel(), [](unsigned char byte) { return byte > 1; })) {
      throw Malformed{the_tensor(entry.name) + " is BOOL and holds a byte that is neither 0 nor 1"};
    }
  }
  return tensor;
}

// The header's text, and the stream behind it.
std::string read_header(std::istream& file, uint64_t file_size) {
  uint64_t header_size = 0;
  if (file_size < sizeof header_size) throw Malformed{"it is shorter than 8 bytes"};
  read_exactly(file, &header_size, sizeof header_size);
  if (header_size > kHeaderLimit) {
    throw Malformed{
        concat("its header claims ", header_size, " bytes; the format allows ", kHeaderLimit)};
  }
  if (header_size > file_size - sizeof header_size) {
    throw Malformed{concat("it is truncated: the header claims ", header_size, " bytes and ",
                           file_size - sizeof header_size, " are left")};
  }
  std::string text(header_size, '\0');
  read_exactly(file, text.data(), header_size);
  return text;
}

TensorFile read(std::istream& file, uint64_t file_size) {
  const std::string text = read_header(file, file_size);
  const uint64_t data_size = file_size - sizeof(uint64_t) - text.size();
  Header header = parse_header(text, data_size);
  TensorFile content;
  content.metadata = std::move(header.metadata);
  for (const Entry& entry : header.entries) content.tensors[entry.name] = read_tensor(file, entry);
  return content;
}

using NamedTensor = TensorFile::Tensors::value_type;

std::string_view dtype_of(const fs::path& path, const NamedTensor& item) {
  const std::string_view name = dtype_name(item.second.scalar_type());
  if (name.empty()) {
    throw Error(concat(path.string(), ": cannot write ", the_tensor(item.first),
                       ": safetensors has no dtype for ",
                       c10::toString(item.second.scalar_type())));
  }
  return name;
}

// The widest elements first, then by name: every tensor is aligned to its element, and equal
// content gives equal files.
std::vector<const NamedTensor*> file_order(const TensorFile& content) {
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& item : content.tensors) order.push_back(&item);
  std::ranges::stable_sort(order, std::greater(),
                           [](const NamedTensor* item) { return item->second.element_size(); });
  return order;
}

// Padded so that the data begins at a multiple of 8 bytes.
std::string make_header(const fs::path& path, const TensorFile& content,
                        const std::vector<const NamedTensor*>& order) {
  ordered_json header = ordered_json::object();
  if (!content.metadata.empty()) header[std::string(kMetadataKey)] = content.metadata;
  uint64_t offset = 0;
  for (const NamedTensor* item : order) {
    const uint64_t begin = offset;
    offset += item->second.nbytes();
    header[item->first] = {{"dtype", dtype_of(path, *item)},
                           {"shape", item->second.sizes().vec()},
                           {"data_offsets", {begin, offset}}};
  }
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
  } catch (const ordered_json::exception& error) {
    throw Error(concat(path.string(), ": cannot write: a name or metadata is not UTF-8 (",
                       error.what(), ")"));
  }
}

// Runs `body`, which reads the file, and names it in what it throws.
template <class Body>
auto reading(const fs::path& path, const Body& body) {
  InputFile file(path);
  try {
    return body(file);
  } catch (const Malformed& malformed) {
    throw Error(concat(path.string(), ": not a safetensors file: ", malformed.what));
  }
}

}  // namespace

TensorFile read_safetensors(const fs::path& path) {
  return reading(path, [](InputFile& file) { return read(file.stream, file.size); });
}

std::map<std::string, std::string> read_safetensors_metadata(const fs::path& path) {
  return reading(
      path, [](InputFile& file) { return parse_metadata(read_header(file.stream, file.size)); });
}

bool has_written_header(const fs::path& path, const TensorFile& content) {
  return reading(path, [&](InputFile& file) {
    return read_header(file.stream, file.size) == make_header(path, content, file_order(content));
  });
}

void write_safetensors(const fs::path& path, const TensorFile& content) {
  VIM_CHECK(!content.tensors.contains(std::string(kMetadataKey)));
  const std::vector<const NamedTensor*> order = file_order(content);
  const std::string header = make_header(path, content, order);
  write_atomically(path, [&](FileWriter& file) {
    const uint64_t header_size = header.size();
    file.write(&header_size, sizeof header_size);
    file.write(header);
    for (const NamedTensor* item : order) {
      const at::Tensor tensor = item->second.cpu().contiguous();
      file.write(tensor.const_data_ptr(), tensor.nbytes());
    }
  });
}

}  // namespace vim::io
