#include "io/safetensors_header.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "io/malformed.h"
#include "vim/core/text.h"

using nlohmann::json;

namespace vim::io {
namespace {

constexpr size_t kMaxDimensions = 64;  // of LibTorch's kernels

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

// JSON leaves duplicate keys and depth to its reader.
json parse_json(const std::string& text) {
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

std::map<std::string, std::string> metadata_of(const json& fields) {
  std::map<std::string, std::string> metadata;
  if (!fields.is_object()) throw Malformed{"its '__metadata__' is not an object"};
  for (const auto& [key, value] : fields.items()) {
    if (!value.is_string()) throw Malformed{concat("its metadata '", key, "' is not a string")};
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

}  // namespace

Header parse_header(const std::string& text, uint64_t data_size) {
  Header header;
  const json parsed = parse_json(text);
  for (const auto& [name, fields] : parsed.items()) {
    if (name == kMetadataKey) {
      header.metadata = metadata_of(fields);
    } else {
      header.entries.push_back(parse_entry(name, fields, data_size));
    }
  }
  check_layout(header.entries, data_size);
  return header;
}

std::map<std::string, std::string> parse_metadata(const std::string& text) {
  const json parsed = parse_json(text);
  const auto found = parsed.find(kMetadataKey);
  return found == parsed.end() ? std::map<std::string, std::string>() : metadata_of(*found);
}

std::string_view dtype_name(at::ScalarType type) {
  const auto dtype = std::ranges::find(kDTypes, type, &DType::type);
  return dtype == kDTypes.end() ? "" : dtype->name;
}

std::string the_tensor(std::string_view name) {
  return concat("tensor '", name, "'");
}

}  // namespace vim::io
