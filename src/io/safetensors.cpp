#include "vim/io/safetensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "io/input_file.h"
#include "io/malformed.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

namespace vim::io {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr uint64_t kHeaderLimit = 100'000'000;  // of the reference implementation
constexpr size_t kMaxDimensions = 64;           // of LibTorch's kernels
constexpr std::string_view kMetadata = "__metadata__";

struct DType {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array kDTypes = {
    DType{"F64", at::kDouble},    DType{"F32", at::kFloat}, DType{"F16", at::kHalf},
    DType{"BF16", at::kBFloat16}, DType{"I64", at::kLong},  DType{"I32", at::kInt},
    DType{"I16", at::kShort},     DType{"I8", at::kChar},   DType{"U8", at::kByte},
    DType{"BOOL", at::kBool},
};

// One tensor as the header tells it; `begin` and `end` count from the end of the header.
struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin;
  uint64_t end;
};

std::string the_tensor(std::string_view name) {
  return concat("tensor '", name, "'");
}

// JSON leaves duplicate keys and depth to its reader.
json parse_header(const std::string& text) {
  if (!text.starts_with('{') || text.find('\0') != std::string::npos) {
    throw Malformed{"its header is not a JSON object"};
  }
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > 3) throw Malformed{"its header is nested too deeply"};
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed).second) {
      throw Malformed{concat("its header holds the key ", parsed.dump(), " twice")};
    }
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::exception& error) {
    throw Malformed{concat("its header is not valid JSON (", error.what(), ")")};
  }
}

// The list of whole numbers under `key`, all of which fit int64_t.
std::vector<int64_t> numbers(const std::string& name, const json& fields, const char* key) {
  std::vector<int64_t> result;
  if (!fields.contains(key) || !fields[key].is_array()) {
    throw Malformed{concat(the_tensor(name), " has no list '", key, "'")};
  }
  for (const json& item : fields[key]) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > uint64_t{INT64_MAX}) {
      throw Malformed{concat(the_tensor(name), " has ", item.dump(), " in '", key,
                             "', which is not a whole number from 0 to 2^63 - 1")};
    }
    result.push_back(item.get<int64_t>());
  }
  return result;
}

// The bytes that the shape asks for. Zero dimensions count as one in the check for overflow, since
// LibTorch multiplies the others for its strides.
uint64_t byte_size(const Entry& entry) {
  int64_t strides = 1, elements = 1;
  bool overflow = false;
  for (int64_t size : entry.shape) {
    overflow |= __builtin_mul_overflow(strides, std::max<int64_t>(size, 1), &strides);
    elements = overflow ? 0 : elements * size;
  }
  int64_t bytes = 0;
  overflow |=
      __builtin_mul_overflow(strides, static_cast<int64_t>(c10::elementSize(entry.type)), &bytes);
  if (overflow)
    throw Malformed{concat(the_tensor(entry.name), " has a shape with more than 2^63 bytes")};
  return static_cast<uint64_t>(elements) * c10::elementSize(entry.type);
}

Entry parse_entry(const std::string& name, const json& fields, uint64_t data_size) {
  if (!fields.is_object())
    throw Malformed{concat(the_tensor(name), " is not described by an object")};
  if (!fields.contains("dtype") || !fields["dtype"].is_string()) {
    throw Malformed{concat(the_tensor(name), " has no 'dtype'")};
  }
  const auto& dtype_name = fields["dtype"].get_ref<const std::string&>();
  const auto dtype = std::ranges::find(kDTypes, dtype_name, &DType::name);
  if (dtype == kDTypes.end()) {
    throw Malformed{concat(the_tensor(name), " has the unsupported dtype '", dtype_name, "'")};
  }
  const std::vector<int64_t> offsets = numbers(name, fields, "data_offsets");
  if (offsets.size() != 2) throw Malformed{concat(the_tensor(name), " needs two 'data_offsets'")};
  Entry entry{name, dtype->type, numbers(name, fields, "shape"), static_cast<uint64_t>(offsets[0]),
              static_cast<uint64_t>(offsets[1])};
  if (entry.shape.size() > kMaxDimensions) {
    throw Malformed{concat(the_tensor(name), " has more than ", kMaxDimensions, " dimensions")};
  }
  if (entry.begin > entry.end || entry.end > data_size) {
    throw Malformed{concat(the_tensor(name), " claims the bytes ", entry.begin, " to ", entry.end,
                           " of the ", data_size, " that follow the header")};
  }
  const uint64_t needed = byte_size(entry);
  if (needed != entry.end - entry.begin) {
    throw Malformed{
        concat(the_tensor(name), " needs ", needed, " bytes and has ", entry.end - entry.begin)};
  }
  return entry;
}

// Every byte after the header belongs to exactly one tensor.
void check_layout(std::vector<Entry>& entries, uint64_t data_size) {
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair(e.begin, e.end); });
  uint64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin < expected)
      throw Malformed{the_tensor(entry.name) + " overlaps another tensor"};
    if (entry.begin > expected) {
      throw Malformed{concat("the bytes ", expected, " to ", entry.begin, " before ",
                             the_tensor(entry.name), " belong to no tensor")};
    }
    expected = entry.end;
  }
  if (expected != data_size) {
    throw Malformed{concat("the last ", data_size - expected, " bytes belong to no tensor")};
  }
}

std::map<std::string, std::string> parse_metadata(const json& fields) {
  std::map<std::string, std::string> metadata;
  if (!fields.is_object()) throw Malformed{"its '__metadata__' is not an object"};
  for (const auto& [key, value] : fields.items()) {
    if (!value.is_string()) throw Malformed{concat("its metadata '", key, "' is not a string")};
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

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
  TensorFile content;
  std::vector<Entry> entries;
  const json header = parse_header(text);
  for (const auto& [name, fields] : header.items()) {
    if (name == kMetadata) {
      content.metadata = parse_metadata(fields);
    } else {
      entries.push_back(parse_entry(name, fields, data_size));
    }
  }
  check_layout(entries, data_size);
  for (const Entry& entry : entries) content.tensors[entry.name] = read_tensor(file, entry);
  return content;
}

using NamedTensor = TensorFile::Tensors::value_type;

std::string_view dtype_name(const fs::path& path, const NamedTensor& item) {
  const auto dtype = std::ranges::find(kDTypes, item.second.scalar_type(), &DType::type);
  if (dtype == kDTypes.end()) {
    throw Error(concat(path.string(), ": cannot write ", the_tensor(item.first),
                       ": safetensors has no dtype for ",
                       c10::toString(item.second.scalar_type())));
  }
  return dtype->name;
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
  if (!content.metadata.empty()) header[std::string(kMetadata)] = content.metadata;
  uint64_t offset = 0;
  for (const NamedTensor* item : order) {
    const uint64_t begin = offset;
    offset += item->second.nbytes();
    header[item->first] = {{"dtype", dtype_name(path, *item)},
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
  return reading(path, [](InputFile& file) {
    const json header = parse_header(read_header(file.stream, file.size));
    const std::string key(kMetadata);
    return header.contains(key) ? parse_metadata(header[key])
                                : std::map<std::string, std::string>();
  });
}

bool has_written_header(const fs::path& path, const TensorFile& content) {
  return reading(path, [&](InputFile& file) {
    return read_header(file.stream, file.size) == make_header(path, content, file_order(content));
  });
}

void write_safetensors(const fs::path& path, const TensorFile& content) {
  VIM_CHECK(!content.tensors.contains(std::string(kMetadata)));
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
